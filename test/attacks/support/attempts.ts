/** An attack, and what came of it: the answer, what reached the model, what is on the record. */
import { expect } from 'vitest';
import { eventually, type Stack } from '../../e2e/support/stack.ts';
import type { Arrived } from '../../e2e/support/upstream.ts';
import { type RawAnswer, sendRaw } from './raw.ts';

/** What every attempt asks, where nothing else is said. */
export const BODY = '{"model":"demo","messages":[{"role":"user","content":"hi"}]}';

/** All that a model gets of a call with BODY that carries nothing of the SDK's. */
export const AT_THE_MODEL = {
  host: 'llm.example.com',
  'content-type': 'application/json',
  'content-length': String(BODY.length),
  'x-forwarded-proto': 'http',
  'x-envoy-external-address': '127.0.0.1',
  'x-request-id': expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/),
  'x-sallyport-upstream': 'model_demo_1',
  'x-sallyport-session': expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/),
  'x-sallyport-caller': 'demo/sam',
  authorization: 'Bearer model-secret',
};

export interface Refusal {
  /** 0: Envoy closes the connection, since its own answer to a broken request can no longer be sent. */
  readonly status: number;
  readonly code?: string;
  /** Where the answer's body has the code, as its API has it; OpenAI's place by default, null: nowhere. */
  readonly codeOf?: ((body: unknown) => unknown) | null;
  /** Of the event: our own words, or Envoy's response code details; a text is a part of them. */
  readonly detail?: string | RegExp;
}

const openaiCode = (body: unknown): unknown => (body as { error?: { code?: unknown } }).error?.code;

export interface Attempts {
  /** Sends it, and expects a refusal: to the caller, on the record, and nothing at the model. */
  refused(refusal: Refusal, ...parts: readonly (string | Buffer)[]): Promise<RawAnswer>;
  /** Sends it, expects that it passes, and returns the one request that reached the model. */
  passes(...parts: readonly (string | Buffer)[]): Promise<Arrived>;
}

/** Section of sallyport.yaml: every refusal by itself, not counted together with its like, and soon. */
export const EVERY_REFUSAL = { record: { journal: { refusals: { perSecond: 10_000 }, syncIntervalMs: 10 } } };

export function attempts(stack: Stack): Attempts {
  const refusals = async () =>
    (await stack.journal()).flatMap((line) =>
      line.kind === 'event' && line.event.type === 'refused' ? [line.event as Record<string, unknown>] : [],
    );
  return {
    refused: async ({ status, code, detail, codeOf = openaiCode }, ...parts) => {
      const arrived = stack.model.arrived.length;
      const known = (await refusals()).length;
      const answer = await sendRaw(stack.port, ...parts);
      expect(answer.status, answer.received.slice(0, 300)).toBe(status);
      const event = await eventually(async () => (await refusals())[known], 'the refusal on the record', 3_000);
      if (status !== 0 && answer.headers.get('content-type') !== 'application/grpc')
        expect(event['status']).toBe(status);
      if (code !== undefined) {
        expect(event['code']).toBe(code);
        if (answer.body !== '' && codeOf !== null) expect(codeOf(JSON.parse(answer.body))).toBe(code);
      }
      if (detail !== undefined)
        expect(event['detail']).toEqual(
          typeof detail === 'string' ? expect.stringContaining(detail) : expect.stringMatching(detail),
        );
      expect(stack.model.arrived.length, 'requests that reached the model').toBe(arrived);
      return answer;
    },
    passes: async (...parts) => {
      const arrived = stack.model.arrived.length;
      const answer = await sendRaw(stack.port, ...parts);
      expect(answer.status, answer.received.slice(0, 300)).toBe(200);
      expect(stack.model.arrived.length, 'requests that reached the model').toBe(arrived + 1);
      return stack.model.arrived[arrived]!;
    },
  };
}
