// Makes the members a replica set, or adds those that it lacks. Run again, it changes nothing.
const { MEMBERS, REPLICA_SET, ROOT_USERNAME, ROOT_PASSWORD, WAIT_SECONDS } = process.env;
const members = MEMBERS.split(" ");
const login = `${encodeURIComponent(ROOT_USERNAME)}:${encodeURIComponent(ROOT_PASSWORD)}`;
const NOT_YET_INITIALISED = 94;

function admin(member) {
  const options = "directConnection=true&serverSelectionTimeoutMS=5000&authSource=admin";
  return new Mongo(`mongodb://${login}@${member}/admin?${options}`).getDB("admin");
}

// The answer of `attempt`, asked again until there is one.
function eventually(what, attempt) {
  let last = "no answer";
  for (let second = 0; second < Number(WAIT_SECONDS); second++) {
    try {
      const answer = attempt();
      if (answer) return answer;
    } catch (error) {
      last = error.message;
    }
    sleep(1000);
  }
  throw new Error(`${what} did not happen within ${WAIT_SECONDS} s: ${last}`);
}

function configuration(database) {
  try {
    return database.adminCommand({ replSetGetConfig: 1 }).config;
  } catch (error) {
    if (error.code === NOT_YET_INITIALISED) return null;
    throw error;
  }
}

function primary() {
  return eventually("the election of a primary", () => {
    for (const member of members) {
      try {
        const database = admin(member);
        if (database.hello().isWritablePrimary) return database;
      } catch (error) {
        print(`${member} does not answer: ${error.message}`);
      }
    }
    return null;
  });
}

// The first member alone has users, so it alone can be asked before there is a set.
const first = eventually(`an answer of ${members[0]}`, () => {
  const database = admin(members[0]);
  return database.hello() && { database, config: configuration(database) };
});

if (first.config === null) {
  const config = { _id: REPLICA_SET, members: members.map((host, _id) => ({ _id, host })) };
  eventually("the initiation", () => first.database.adminCommand({ replSetInitiate: config }).ok);
  primary();
  print(`initiated ${REPLICA_SET} with ${members.length} members`);
} else {
  const leader = primary();
  for (const host of members) {
    const config = configuration(leader);
    if (config.members.some((member) => member.host === host)) continue;
    // One at a time: a set takes one new voter per change.
    const _id = Math.max(...config.members.map((member) => member._id)) + 1;
    config.members.push({ _id, host });
    config.version += 1;
    eventually(`adding ${host}`, () => leader.adminCommand({ replSetReconfig: config }).ok);
    print(`added ${host}`);
  }
  print(`${REPLICA_SET} has ${configuration(leader).members.length} members`);
}
