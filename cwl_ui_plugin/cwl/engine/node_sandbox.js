// Evaluates CWL expressions, one JSON text per line on standard input, and answers each with one line:
// "v" and the JSON of the value, "u" for a value that JSON does not have, or "e" and what went wrong.
//
// An expression runs in a realm of its own that holds nothing but ECMAScript: no object of this realm gets into it, and
// only texts come out of it. What else this realm has is taken away first, should there be a way out all the same.
"use strict";
(() => {
  const { readSync, writeSync } = require("node:fs");
  const vm = require("node:vm");
  const { process, Buffer, Reflect } = globalThis;
  const exit = process.reallyExit.bind(process);
  const { parse } = JSON;
  const concat = Buffer.concat.bind(Buffer);
  const options = { codeGeneration: { strings: true, wasm: false }, name: "expression" };
  const program = new vm.Script(
    `(code) => {
    const { stringify } = JSON, text = String;
    try {
      const found = stringify((0, eval)(code));
      return typeof found === "string" ? "v" + found : "u";
    } catch (failure) {
      const isError = failure !== null && typeof failure === "object" && typeof failure.message === "string";
      return "e" + text(isError || typeof failure !== "object" ? text(failure) : stringify(failure));
    }
  }`,
    { filename: "expression" },
  );

  function evaluate(code) {
    try {
      const realm = vm.createContext(vm.constants.DONT_CONTEXTIFY, options);
      const answer = program.runInContext(realm)(code);
      return typeof answer === "string" ? answer : "u";
    } catch {
      return "eError: it failed in a way that can't be told";
    }
  }

  let waiting = Buffer.alloc(0);
  const chunk = Buffer.alloc(65536);

  function readLine() {
    const parts = [waiting];
    let end = waiting.indexOf(10);
    while (end < 0) {
      const size = readSync(0, chunk, 0, chunk.length);
      if (size === 0) exit(0);
      parts.push(Buffer.from(chunk.subarray(0, size)));
      end = parts.at(-1).indexOf(10);
    }
    const all = concat(parts);
    end = all.indexOf(10);
    waiting = all.subarray(end + 1);
    return all.toString("latin1", 0, end);
  }

  function write(text) {
    const data = Buffer.from(`${text.replaceAll("\n", " ")}\n`);
    for (let done = 0; done < data.length;) done += writeSync(1, data, done);
  }

  function takeAway() {
    new Date(0).toLocaleString(); // the time zone is a file
    vm.createContext(vm.constants.DONT_CONTEXTIFY, options);
    for (const target of [process, globalThis]) {
      for (const name of Reflect.ownKeys(target)) {
        Reflect.deleteProperty(target, name) || Reflect.set(target, name, undefined);
      }
      Reflect.setPrototypeOf(target, null);
    }
  }

  takeAway();
  write("ready");
  for (;;) write(evaluate(parse(readLine())));
})();
