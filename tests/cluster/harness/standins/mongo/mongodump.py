#!/opt/slipway/bin/python
"""Stands in for mongodump: every document of every database, as Extended JSON in a gzip file."""

import argparse
import gzip
import re
from pathlib import Path

from bson.json_util import dumps
from pymongo import MongoClient

parser = argparse.ArgumentParser()
parser.add_argument("--config", required=True)
parser.add_argument("--archive", required=True)
options, _ = parser.parse_known_args()
uri = re.match(r"uri: (\S+)", Path(options.config).read_text())[1]
client = MongoClient(uri, serverSelectionTimeoutMS=20_000)
with gzip.open(options.archive, "wt") as archive:
    for database in client.list_database_names():
        for collection in client[database].list_collection_names():
            for document in client[database][collection].find():
                archive.write(f"{dumps({'db': database, 'collection': collection, 'document': document})}\n")
