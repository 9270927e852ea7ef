/** A process that writes the journal until it is killed. `node journal-writer.ts DIR`: prints each leaf once it is durable. */
import { journalConfig } from '../../../src/record/config.ts';
import { openJournal } from '../../../src/record/journal.ts';

const [, , dir] = process.argv;
if (dir === undefined) throw new Error('usage: journal-writer.ts DIR');
const journal = await openJournal({ ...journalConfig.parse({ dir }), segmentBytes: 256 * 1024 });

function sessionId(n: number): string {
  return `0199a1b2-c3d4-7e5f-8a9b-${process.pid.toString(16).padStart(6, '0')}${n.toString(16).padStart(6, '0')}`;
}

async function stream(n: number): Promise<void> {
  const session = sessionId(n);
  const at = Date.now();
  const caller = {
    provider: 'demo',
    issuer: 'https://idp.example.com',
    subject: 'jane',
    email: undefined,
    kind: 'person',
    proof: 'token',
    groupsProblem: undefined,
    groups: [],
    team: undefined,
  } as const;
  const http = {
    method: 'POST',
    host: 'h',
    path: '/',
    clientAddress: '192.0.2.1',
    userAgent: '',
    requestId: '',
    traceId: '',
  };
  const leaf = journal.event({
    type: 'request',
    session,
    at,
    caller,
    http,
    model: 'demo',
    modelVersion: '1',
    format: 'openai-chat',
    operation: 'chat',
    stream: true,
    tokens: 1,
    bytes: 1,
    tools: [],
    toolCall: '',
    choices: 1,
    images: 0,
    audio: 0,
    files: 0,
    maxTokens: undefined,
    checked: true,
    findings: {},
    filters: {},
    guards: {},
  });
  await journal.durable();
  console.log(`open ${leaf} ${session}`);
  // Of different lengths, so that some are always open.
  const chunks = 5 + (n % 16);
  for (let seq = 0; seq < chunks; seq++) {
    journal.content({ session, direction: 'response', seq, at: Date.now(), bytes: Buffer.from(`${seq},`) });
    await journal.written();
  }
  const last = journal.event({
    type: 'end',
    session,
    at: Date.now(),
    request: { writer: journal.writer, leaf },
    how: 'complete',
    code: '',
    status: 200,
    detail: '',
    rules: [],
    found: {},
    masked: {},
    maskedRequest: {},
    inputTokens: 1,
    outputTokens: chunks,
    bytes: 50,
    chunks,
    firstByteMs: 1,
    durationMs: 2,
  });
  await journal.durable();
  console.log(`end ${last} ${session}`);
}

let next = 0;
await Promise.all(
  Array.from({ length: 16 }, async () => {
    for (;;) await stream(next++);
  }),
);
