// Prints each trigger and saves its picture: npm install && node subscriber.mjs [ENDPOINT] [FOLDER]
import { writeFileSync } from "node:fs";
import { Subscriber } from "zeromq";

const [endpoint = "ipc:///tmp/edge-cam0.ipc", folder = "."] = process.argv.slice(2);
process.on("SIGINT", () => process.exit(0));

const socket = new Subscriber();
socket.connect(endpoint);
socket.subscribe("trigger.");

for await (const [topic, json, jpeg] of socket) {
  const trigger = JSON.parse(json);
  if (trigger.header.schema_version !== 1) {
    console.error(`${topic}: skipped, schema version ${trigger.header.schema_version}`);
    continue;
  }
  if (jpeg) writeFileSync(`${folder}/${trigger.event_id}.jpg`, jpeg);
  console.log(`${trigger.rule}: ${trigger.label} ${trigger.score.toFixed(2)}`);
}
