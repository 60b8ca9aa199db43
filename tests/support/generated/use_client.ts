// What a user of the TypeScript client does that openapi-generator makes: use_client.js URL TOKEN DAG_ID
import { Configuration, InputsApi, RunsApi, WorkflowsApi, type Run } from "./client/index";

declare const process: { argv: string[]; stdin: AsyncIterable<Uint8Array> };
declare const console: { log(text: string): void };
const [, , url, token, dagId] = process.argv as [string, string, string, string, string];
const configuration = new Configuration({ basePath: `${url}/cwl`, accessToken: token });
const [workflows, runs, inputs] = [
  new WorkflowsApi(configuration),
  new RunsApi(configuration),
  new InputsApi(configuration),
];
const WORDS = "three words here\n";

async function sent(): Promise<string> {
  let part = await inputs.startPartialInput({ name: "text.txt", size: WORDS.length });
  while (!part.file) {
    const body = new Blob([WORDS.slice(part.received, part.received + 10)]);
    part = await inputs.sendPart({ uploadId: part.id, offset: part.received, body });
  }
  return part.file.location;
}

async function started(job: object): Promise<string> {
  return (await runs.triggerRun({ dagId, triggerRunRequest: { job } })).runId;
}

async function ended(runId: string): Promise<Run> {
  for (;;) {
    const run = await runs.getRun({ dagId, runId });
    if (run.state === "success" || run.state === "failed") return run;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function main(): Promise<void> {
  const chunks: BlobPart[] = [];
  for await (const chunk of process.stdin) chunks.push(new Uint8Array(chunk));
  await workflows.uploadWorkflow({ files: [new File(chunks, "words.cwl")], dagId });
  const job = { text: { class: "File", location: await sent() }, seconds: 0 };
  const run = await ended(await started(job));
  const outputs = await runs.getOutputs({ dagId, runId: run.runId });
  const [file] = await runs.listFiles({ dagId, runId: run.runId });
  const content = await runs.getFile({ dagId, runId: run.runId, path: file!.path });
  const long = await started({ ...job, seconds: 3600 });
  await runs.stopRun({ dagId, runId: long });
  const last = await runs.getRun({ dagId, runId: long });
  const words = (await content.text()).trim();
  console.log(JSON.stringify({ state: run.state, words, stopped: last.shownState, outputs: Object.keys(outputs).sort() }));
}

void main();
