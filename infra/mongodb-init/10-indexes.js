// Runs once, on an empty volume. Names are what tool definitions and server templates are found by.
const own = db.getSiblingDB(process.env.APP_DATABASE);

own.createCollection("tools");
own.tools.createIndex({ name: 1 }, { unique: true });
own.createCollection("server_templates");
own.server_templates.createIndex({ name: 1 }, { unique: true });
