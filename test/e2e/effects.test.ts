/** Each effect of the rules through both gates: what the caller gets, what reaches the model, what is on the record. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openArchive } from '../../src/commands/open-archive.ts';
import { policyCommand } from '../../src/commands/policy.ts';
import { run } from '../unit/commands/run.ts';
import { ask, codeOf } from './support/ask.ts';
import { eventually, type JournalLine, type Stack, startStack } from './support/stack.ts';
import { answerJson } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: effects, labels: {owner: tests}}
spec:
  rules:
    - {name: allow, when: '"ml-eng" in caller.groups || "contractors" in caller.groups', then: allow}
    - {name: deny, when: 'request.text.contains("forbidden")', then: deny, severity: high, labels: {kind: word}, messageExpression: '"Not " + request.messages[0].text + "."'}
    - {name: hold, when: 'request.tools.exists(t, t.name == "run_sql")', then: requireApproval, approvers: [security-oncall], message: Ask the security team.}
    - {name: mask, when: '!("pii-cleared" in caller.groups)', then: mask, detect: [email_address]}
    - {name: trial, mode: dryRun, when: 'request.text.contains("trial")', then: deny}
    - {name: broken, when: 'request.text.contains("broken") && caller.email == "x"', then: deny}
`;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ policies: { 'effects.yaml': POLICY } });
});
afterAll(() => stack.close());

const saying = (content: string, more: object = {}) => ({
  model: 'demo',
  messages: [{ role: 'user', content }],
  ...more,
});

type Event = Extract<JournalLine, { kind: 'event' }>['event'];
async function eventsOf(session: string): Promise<Event[]> {
  const lines = await stack.journal();
  return lines.flatMap((line) => (line.kind === 'event' && line.event.session === session ? [line.event] : []));
}

async function asked(body: object, who: 'jane' | 'sam' = 'jane') {
  const before = stack.model.arrived.length;
  stack.model.answer = answerJson('Write to jane@example.com.');
  const got = await ask(stack, body, who);
  const events = await eventsOf(String(got.headers['x-sallyport-session']));
  const of = (type: string) => events.find((event) => event.type === type);
  return {
    got,
    reached: stack.model.arrived.length - before,
    decision: of('decision'),
    request: of('request'),
    end: of('end'),
    events,
  };
}

describe('an effect through the gates', () => {
  test('allow: the model answers; the rule is on the record with the labels of its file', async () => {
    const { got, reached, decision, end } = await asked(saying('hello'));
    expect(got.status).toBe(200);
    expect(reached).toBe(1);
    expect(decision).toMatchObject({
      verdict: 'allow',
      rules: [{ policy: 'effects', rule: 'allow', effect: 'allow', mode: 'enforce', labels: { owner: 'tests' } }],
    });
    expect(end).toMatchObject({ how: 'complete' });
  });

  test('deny: 403 in the words of its messageExpression, nothing at the model, severity on the record', async () => {
    const { got, reached, decision, end } = await asked(saying('forbidden'));
    expect(got.status).toBe(403);
    expect(codeOf(got)).toBe('policy_denied');
    expect(got.text).toContain('Not forbidden.');
    expect(reached).toBe(0);
    expect(decision).toMatchObject({ verdict: 'deny', message: 'Not forbidden.' });
    expect(decision?.['rules']).toContainEqual({
      policy: 'effects',
      rule: 'deny',
      effect: 'deny',
      mode: 'enforce',
      severity: 'high',
      labels: { kind: 'word', owner: 'tests' },
    });
    expect(end).toMatchObject({ how: 'denied', code: 'policy_denied' });
  });

  test('a message that repeats the request is masked on the record', async () => {
    const { got, decision } = await asked(saying('forbidden 4111 1111 1111 1111'));
    expect(got.text).toContain('Not forbidden 4111 1111 1111 1111.');
    expect(decision).toMatchObject({ message: 'Not forbidden <CREDIT_CARD>.' });
  });

  test('requireApproval: 403 approval_required, nothing at the model; a deny wins over it', async () => {
    const tools = [{ type: 'function', function: { name: 'run_sql', parameters: { type: 'object' } } }];
    const { got, reached, decision, end } = await asked(saying('count them', { tools }));
    expect(got.status).toBe(403);
    expect(codeOf(got)).toBe('approval_required');
    expect(got.text).toContain('Ask the security team.');
    expect(reached).toBe(0);
    expect(decision).toMatchObject({ verdict: 'requireApproval', message: 'Ask the security team.' });
    expect(end).toMatchObject({ how: 'denied', code: 'approval_required' });
    expect(codeOf((await asked(saying('forbidden', { tools }))).got)).toBe('policy_denied');
  });

  test('mask: for those who are not cleared', async () => {
    expect((await asked(saying('hello'), 'sam')).got.text).toContain('Write to <EMAIL_ADDRESS>.');
    expect((await asked(saying('hello'), 'jane')).got.text).toContain('Write to jane@example.com.');
  });

  test('dryRun: on the record, and nothing else', async () => {
    const { got, decision } = await asked(saying('a trial'));
    expect(got.status).toBe(200);
    expect(decision?.['rules']).toContainEqual(expect.objectContaining({ rule: 'trial', mode: 'dryRun' }));
  });

  test('an expression that fails denies, and the caller is not told what failed', async () => {
    const { got, reached, decision } = await asked(saying('broken'), 'sam');
    const isDenied = got.status === 403;
    // sam has an e-mail address: the rule can be evaluated, and is false.
    expect(isDenied).toBe(false);
    expect(reached).toBe(1);
    expect(decision).toMatchObject({ verdict: 'allow' });
  });
});

test('what no rule reads is found after the answer, and is on the record before the answer is complete', async () => {
  const { got, request, events } = await asked(saying('my card is 4111 1111 1111 1111'));
  expect(got.status).toBe(200);
  expect(request).toMatchObject({ checked: false, findings: {} });
  expect(events.find(({ type }) => type === 'findings')).toMatchObject({ findings: { credit_card: 1 } });
  const texts = (await stack.journal()).filter((line) => line.kind === 'content' && line.session === request?.session);
  expect(texts).toContainEqual(
    expect.objectContaining({ direction: 'request', text: expect.stringContaining('<CREDIT_CARD>') }),
  );
  const end = events.findIndex(({ type }) => type === 'end');
  expect(events.findIndex(({ type }) => type === 'findings')).toBeLessThan(end);
});

describe('policy backtest, on what these tests have recorded', () => {
  const backtest = (dir: string) =>
    run(
      [policyCommand(openArchive)],
      ['policy', 'backtest', '--policies', dir, '--since', '1h', '--json', '--config', stack.config.file],
    );

  const folder = (name: string, text: string): string => {
    const dir = join(stack.dir, name);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'policy.yaml'), text);
    return dir;
  };

  test('the same policies change nothing that is known', async () => {
    const dir = folder('same', POLICY);
    const report = await eventually(
      async () => {
        const { stdout, code } = await backtest(dir);
        expect(code).toBe(0);
        const found = JSON.parse(stdout);
        return found.sessions >= 9 ? found : undefined;
      },
      'all sessions in the store',
      30_000,
    );
    expect(report.changed).toBe(0);
    expect(report.masksChanged).toBe(0);
    // Two requests had a card number in them: their text is masked on the record, and a rule reads the text.
    expect(report.unknown).toBe(2);
    expect(report.rules.find(({ rule }: { rule: string }) => rule === 'effects/deny')).toMatchObject({ unknown: 2 });
    expect(report.examples).toContainEqual(expect.objectContaining({ to: 'unknown' }));
  });

  test('a stricter rule changes verdicts, told by rule, caller and model, with examples', async () => {
    const stricter = POLICY.replace('"ml-eng" in caller.groups || ', '');
    const { stdout } = await backtest(folder('stricter', stricter));
    const report = JSON.parse(stdout);
    expect(report.changed).toBeGreaterThanOrEqual(3);
    expect(report.verdicts).toContainEqual(expect.objectContaining({ from: 'allow', to: 'deny' }));
    const jane = report.callers.find(({ name }: { name: string }) => name.endsWith('/jane'));
    const sam = report.callers.find(({ name }: { name: string }) => name.endsWith('/sam'));
    expect(jane.changed).toBe(report.changed);
    expect(sam).toMatchObject({ changed: 0 });
    expect(report.rules.find(({ rule }: { rule: string }) => rule === 'effects/allow').noLonger).toBeGreaterThanOrEqual(
      3,
    );
    expect(report.models).toEqual([expect.objectContaining({ name: 'demo', changed: report.changed })]);
  });

  test('the look is on the record', async () => {
    const lines = await stack.journal();
    const looks = lines.filter(
      (line) => line.kind === 'event' && line.event.type === 'admin' && line.event['action'] === 'backtest',
    );
    expect(looks.length).toBeGreaterThan(0);
  });
});
