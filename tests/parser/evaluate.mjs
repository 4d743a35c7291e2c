// What GitHub's own evaluator makes of expressions: a list of {kind, text} or {error} on stdout.
// stdin: a list of expressions without their braces; no context is given.
import { readFileSync } from "node:fs";
import { Evaluator, Lexer, Parser, data } from "@actions/expressions";

const said = JSON.parse(readFileSync(0, "utf-8")).map((source) => {
  try {
    const parsed = new Parser(new Lexer(source).lex().tokens, [], []).parse();
    const found = new Evaluator(parsed, new data.Dictionary()).evaluate();
    return { kind: data.Kind[found.kind], text: found.coerceString() };
  } catch (error) {
    return { error: String(error.message) };
  }
});
process.stdout.write(JSON.stringify(said));
