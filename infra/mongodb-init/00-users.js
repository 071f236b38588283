// Runs once, on an empty volume, as the root user. Two users who may do what they are for and nothing else.
const { APP_DATABASE, APP_USERNAME, APP_PASSWORD, BACKUP_USERNAME, BACKUP_PASSWORD } = process.env;

const own = db.getSiblingDB(APP_DATABASE);
own.createRole({
  role: "app",
  // What readWrite lacks: changing the JSON Schema of a collection that exists.
  privileges: [{ resource: { db: APP_DATABASE, collection: "" }, actions: ["collMod"] }],
  roles: [{ role: "readWrite", db: APP_DATABASE }],
});
own.createUser({ user: APP_USERNAME, pwd: APP_PASSWORD, roles: [{ role: "app", db: APP_DATABASE }] });

db.getSiblingDB("admin").createUser({
  user: BACKUP_USERNAME,
  pwd: BACKUP_PASSWORD,
  roles: [{ role: "backup", db: "admin" }],
});
