import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { journalConfig } from '../../../src/record/config.ts';
import type {
  ContentChunk,
  DecisionEvent,
  EndEvent,
  HttpFacts,
  RefusedEvent,
  RequestEvent,
  ResponseEvent,
} from '../../../src/record/events.ts';
import type { JournalOptions } from '../../../src/record/journal.ts';
import { type Damage, type JournalRecord, readJournal } from '../../../src/record/reader.ts';

/** A folder of its own for one test, removed afterwards. */
export function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-record-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function journalOptions(dir: string, changes: Partial<JournalOptions> = {}): JournalOptions {
  return { ...journalConfig.parse({ dir }), ...changes };
}

export async function records(dir: string): Promise<(JournalRecord | Damage)[]> {
  const all: (JournalRecord | Damage)[] = [];
  for await (const record of readJournal(dir)) all.push(record);
  return all;
}

export const http: HttpFacts = {
  method: 'POST',
  host: 'llm.example.com',
  path: '/v1/chat/completions',
  clientAddress: '192.0.2.7',
  userAgent: 'OpenAI/JS 7.57.0',
  requestId: '0d4f7a4e-1111-4222-8333-444455556666',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
};

/** A UUIDv7-shaped session id, in order of `n`. */
export function sessionId(n: number): string {
  return `0199a1b2-c3d4-7e5f-8a9b-${n.toString(16).padStart(12, '0')}`;
}

/** Now, to the second: the store drops what is past its retention. */
export const startMs = Math.floor(Date.now() / 1000) * 1000;

export function request(n: number, changes: Partial<RequestEvent> = {}): RequestEvent {
  return {
    type: 'request',
    session: sessionId(n),
    at: startMs + n,
    caller: {
      provider: 'demo',
      issuer: 'https://idp.example.com',
      subject: 'jane',
      email: 'jane@example.com',
      kind: 'person',
      proof: 'token',
      groupsProblem: undefined,
      groups: ['ml-eng', 'pii-cleared'],
      team: 'ml-platform',
    },
    http,
    model: 'demo',
    modelVersion: '1',
    format: 'openai-chat',
    operation: 'chat',
    stream: true,
    tokens: 212,
    bytes: 980,
    tools: [],
    toolCall: '',
    choices: 1,
    images: 0,
    audio: 0,
    files: 0,
    maxTokens: undefined,
    checked: true,
    findings: { credit_card: 1 },
    filters: {},
    guards: {},
    ...changes,
  };
}

export function decision(n: number, changes: Partial<DecisionEvent> = {}): DecisionEvent {
  return {
    type: 'decision',
    session: sessionId(n),
    at: startMs + n + 1,
    verdict: 'allow',
    rules: [{ policy: 'demo', rule: 'engineers-may-chat', effect: 'allow', mode: 'enforce' }],
    maskResponse: ['credit_card', 'email'],
    maskRequest: [],
    limits: [],
    commit: '',
    message: '',
    revision: 'sha256:0123456789abcdef',
    gateUs: 640,
    ...changes,
  };
}

export function response(n: number, changes: Partial<ResponseEvent> = {}): ResponseEvent {
  return {
    type: 'response',
    session: sessionId(n),
    at: startMs + n + 30,
    request: undefined,
    status: 200,
    contentType: 'text/event-stream',
    cluster: 'model_demo_1',
    ...changes,
  };
}

export function end(n: number, changes: Partial<EndEvent> = {}): EndEvent {
  return {
    type: 'end',
    session: sessionId(n),
    at: startMs + n + 900,
    request: undefined,
    how: 'complete',
    code: '',
    status: 200,
    detail: '',
    rules: [],
    found: { email: 2 },
    masked: { email: 2 },
    maskedRequest: {},
    inputTokens: 200,
    outputTokens: 90,
    bytes: 400,
    chunks: 2,
    firstByteMs: 40,
    durationMs: 900,
    ...changes,
  };
}

export function refused(n: number, changes: Partial<RefusedEvent> = {}): RefusedEvent {
  return {
    type: 'refused',
    session: sessionId(n),
    at: startMs + n,
    code: 'token_missing',
    status: 401,
    detail: 'no credential',
    http,
    caller: undefined,
    count: 1,
    ...changes,
  };
}

export function chunk(
  n: number,
  seq: number,
  text: string,
  direction: ContentChunk['direction'] = 'response',
): ContentChunk {
  return { session: sessionId(n), direction, seq, at: startMs + n + 40 + seq, bytes: Buffer.from(text) };
}
