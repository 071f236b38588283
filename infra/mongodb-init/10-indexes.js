// Runs once, on an empty volume. Names are what tool definitions and server templates are found by.
const own = db.getSiblingDB(process.env.APP_DATABASE);

own.createCollection("slipway_tools");
own.slipway_tools.createIndex({ name: 1 }, { unique: true });
own.createCollection("slipway_server_templates");
own.slipway_server_templates.createIndex({ name: 1 }, { unique: true });
