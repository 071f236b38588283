#!/opt/slipway/bin/python
"""Stands in for mongosh where a stack runs it: a member is ready when it greets, and one member needs no initiation."""

import os
import sys

from pymongo import MongoClient

if any(argument.endswith("initiate.js") for argument in sys.argv):
    members = os.environ["MEMBERS"].split()
    if len(members) > 1:
        sys.exit("the stand-in for MongoDB is one member: set mongodb.replicaSet.members to 1")
    host = members[0]
else:
    host = "127.0.0.1:27017"
client = MongoClient(host, directConnection=True, serverSelectionTimeoutMS=20_000)
print(client.admin.command("hello")["isWritablePrimary"])
