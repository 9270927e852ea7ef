import { describe, expect, test } from 'vitest';
import type { Operators } from '../../../src/detect/operator.ts';
import { Delivered } from '../../../src/envoy/delivered.ts';
import { type ResponseHead, readHead } from '../../../src/envoy/response.ts';
import { ResponseRules } from '../../../src/envoy/response-rules.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import type { Recorder } from '../../../src/record/events.ts';
import { compile, demo, input, policy } from '../policy/fixtures.ts';

const recorder: Recorder = {
  writer: 'w',
  state: 'open',
  event: () => 0,
  content: () => {},
  written: async () => {},
  durable: async () => {},
};
const head: ResponseHead = readHead(
  [
    [':status', '200'],
    ['content-type', 'text/plain'],
  ],
  false,
);

function rulesOf(rules: readonly string[], mask: readonly string[] = [], operators: Operators = {}) {
  const loaded = compile({ 'p.yaml': policy(['- {name: all, then: allow}', ...rules].join('\n')) });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return new ResponseRules({ policy: loaded.set, input: input({ model: demo }) }, head, mask, operators);
}

/** Says a piece of a plain text, as the response gate does. */
async function saying(rules: ResponseRules) {
  const body = createBodies(['email_address', 'us_ssn']).response('openai-chat', 'text', rules.mask);
  const delivered = new Delivered({ session: 's', issuedAtMs: 0 }, body, recorder, () => 0);
  return async (text: string, terminal = false) => {
    const released = await body.delivery.push(Buffer.from(text));
    const kept = await delivered.look(released.bytes, false);
    const stop = rules.atPiece(delivered, { ...released, terminal });
    if (stop === undefined) await delivered.add(released.bytes, kept);
    return stop?.by;
  };
}
const names = (rules: ResponseRules) => rules.outcomes.map(({ rule }) => rule);

describe('rules on a response', () => {
  test('are asked when more was found, and not before', async () => {
    const rules = rulesOf([
      "- {name: two, on: response, when: 'response.findings.exists(d, response.findings[d] > 1)', then: stop}",
      '- {name: seen, mode: dryRun, on: response, when: \'response.phase == "finding"\', then: stop}',
    ]);
    expect(rules.atHeaders()).toBeUndefined();
    const say = await saying(rules);
    expect([await say('write '), names(rules)]).toEqual([undefined, []]);
    expect([await say('to a@b.co '), names(rules)]).toEqual([undefined, ['seen']]);
    expect(await say('or to c@d.co ')).toBe('test/two');
    expect(names(rules)).toEqual(['seen', 'two']);
  });

  test('see at the end the bytes that are about to leave, once', async () => {
    const rules = rulesOf([
      '- {name: long, on: response, when: \'response.phase == "end" && response.bytes == 10\', then: stop}',
    ]);
    const say = await saying(rules);
    expect(await say('12345 ')).toBeUndefined();
    expect(await say('789 ', true)).toBe('test/long');
    expect(await say('more ', true)).toBeUndefined();
  });

  test('that mask at the headers add to the plan', () => {
    const rules = rulesOf(['- {name: ok, then: mask, detect: [pii], when: response.status == 200}'], ['jwt']);
    expect(rules.atHeaders()).toBeUndefined();
    expect(rules.mask).toEqual(expect.arrayContaining(['jwt', 'email']));
    expect(rules.mask).toEqual([...rules.mask].sort());
  });

  test('that mask later stop, unless all of it is masked already', async () => {
    const late = '- {name: late, then: mask, detect: [pii], when: \'response.phase == "end"\'}';
    const masked = ['email', 'phone'];
    expect(rulesOf([late], masked).atEnd(undefined, 0)).toBeUndefined();
    expect(rulesOf([late], ['jwt']).atEnd(undefined, 0)).toEqual({
      by: 'test/late',
      message: 'Rule test/late masks this answer, and can do so only from its headers on.',
    });
  });

  test('that mask by an operator add to the plan, and later stop where theirs lets less be known', () => {
    const rule = (operator: string, phase: string) =>
      `- {name: by-${operator}, then: mask, detect: [email], operator: ${operator}, when: 'response.phase == "${phase}"'}`;
    const at = (operator: string) =>
      rulesOf([rule(operator, 'headers')], ['email', 'jwt'], { email: { type: 'hash' } });
    const [more, less] = [at('redact'), at('mask')];
    expect([more.atHeaders(), less.atHeaders()]).toEqual([undefined, undefined]);
    expect([more.operators, less.operators]).toEqual([{ email: { type: 'redact' } }, { email: { type: 'hash' } }]);
    const late = (operator: string) => rulesOf([rule(operator, 'end')], ['email'], { email: { type: 'hash' } });
    expect(late('encrypt').atEnd(undefined, 0)).toBeUndefined();
    expect(late('replace').atEnd(undefined, 0)).toMatchObject({ by: 'test/by-replace' });
  });

  test('that fail stop, and are on the record with why; on trial they are only that', () => {
    const broken = (mode: string) =>
      rulesOf([`- {name: broken, mode: ${mode}, on: response, when: response.outputTokens > 1, then: stop}`]);
    const enforced = broken('enforce');
    expect(enforced.atHeaders()).toMatchObject({ by: 'test/broken' });
    expect(enforced.outcomes).toMatchObject([{ rule: 'broken', error: expect.stringContaining('p.yaml') }]);
    const trial = broken('dryRun');
    expect(trial.atHeaders()).toBeUndefined();
    expect(trial.atEnd(undefined, 0)).toBeUndefined();
    expect(trial.outcomes).toHaveLength(1);
  });
});
