// What GitHub's own language service says of workflow files: {path: [{line, severity, message}]} on stdout.
// stdin: {path: text}. Severity 1, or none, is an error.
import { readFileSync } from "node:fs";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";

const said = {};
for (const [path, text] of Object.entries(JSON.parse(readFileSync(0, "utf-8")))) {
  // It keeps what it parsed by its address: every file needs its own.
  const found = await validate(TextDocument.create(`file:///${path}`, "yaml", 0, text));
  said[path] = found.map((one) => ({ line: one.range.start.line + 1, severity: one.severity ?? 1, message: one.message }));
}
process.stdout.write(JSON.stringify(said));
