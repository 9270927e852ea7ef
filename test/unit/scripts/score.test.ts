import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { detectorTexts, type LabelledText, otherTexts } from '../../../scripts/score/corpus.ts';
import { percent, precisionOf, recallOf, score, shortOf } from '../../../scripts/score/score.ts';
import { selectDetectors } from '../../../src/detect/registry.ts';

const chosen = selectDetectors(['email_address', 'ip_address']);
const mail = 'Mail a.b@example.com from 10.1.2.3';
const span = (type: string, part: string) => ({
  type,
  start: mail.indexOf(part),
  end: mail.indexOf(part) + part.length,
});
const labelled = (...spans: LabelledText['spans']): LabelledText => ({ id: 'x', text: mail, spans });

describe('the score', () => {
  it.each([
    [
      'all that is there',
      [span('email_address', 'a.b@example.com'), span('ip_address', '10.1.2.3')],
      [1, 1, 0],
      [1, 1, 0],
    ],
    [
      'half of a part and more',
      [span('email_address', 'b@example.com'), span('ip_address', '10.1')],
      [1, 0, 0],
      [1, 0, 0],
    ],
    ['a part of another type', [span('ip_address', 'a.b@example.com')], [0, 0, 1], [0, 0, 1]],
    ['less than half of a part', [span('email_address', mail)], [0, 0, 1], [0, 0, 1]],
  ])('counts %s', (_, spans, ofMail, ofAddress) => {
    const { scores } = score(chosen, [labelled(...spans)]);
    const counts = (id: string) => {
      const { found, exact, wrong } = scores.get(id)!;
      return [found, exact, wrong];
    };
    expect([counts('email_address'), counts('ip_address')]).toEqual([ofMail, ofAddress]);
  });

  it('knows of the negatives of one detector nothing about the others', () => {
    const negative = { ...labelled(), without: 'email_address' };
    const { scores, negatives, touched } = score(chosen, [negative]);
    expect(scores.get('ip_address')).toMatchObject({ wrong: 0, negatives: 0, touched: 0 });
    expect(scores.get('email_address')).toMatchObject({ wrong: 1, negatives: 1, touched: 1 });
    expect([negatives, touched]).toEqual([1, 1]);
  });

  it('names what falls short of its aims, and types that no detector has', () => {
    const result = score(chosen, [labelled(span('ip_address', '10.1.2.3'), span('person', 'Mail'))]);
    expect(shortOf(chosen, result)).toEqual([]);
    expect([...result.unknown]).toEqual([['person', 1]]);
    const missed = score(chosen, [labelled(span('ip_address', 'Mail'), span('email_address', 'from'))]);
    expect(shortOf(chosen, missed).join('\n')).toMatch(/^email_address: recall 0 %, .*\nemail_address: precision 0 %/);
    expect(missed.failures).toMatchObject([
      { what: 'missed', type: 'ip_address', part: 'Mail' },
      { what: 'missed', type: 'email_address', part: 'from' },
      {
        what: 'wrong',
        type: 'email_address',
        part: 'a.b@example.com',
        expected: ['ip_address: Mail', 'email_address: from'],
      },
      { what: 'wrong', type: 'ip_address' },
    ]);
  });

  it('is never rounded up to all', () => {
    expect([percent(0.9999), percent(1), percent(0.98)]).toEqual(['99.9 %', '100 %', '98 %']);
    const [empty] = score(chosen, []).scores.values();
    expect([recallOf(empty!), precisionOf(empty!)]).toEqual([1, 1]);
  });
});

describe('the texts', () => {
  it('of the repository can all be read, with hundreds of them from elsewhere', () => {
    const others = otherTexts();
    expect(others.filter(({ spans }) => spans.length > 0).length).toBeGreaterThan(600);
    expect(others.filter(({ spans }) => spans.length === 0).length).toBeGreaterThan(600);
    expect(detectorTexts().length).toBeGreaterThan(400);
  });
});

describe('npm run score', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-score-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const script = join(import.meta.dirname, '..', '..', '..', 'scripts', 'score.ts');
  const file = join(folder, 'texts.jsonl');
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [script, '--corpus', file, ...args], { encoding: 'utf8' });

  it('takes a corpus of somebody else, and ends with 1 where it falls short', () => {
    const line = (spans: LabelledText['spans']) => `${JSON.stringify({ id: 1, text: mail, spans })}\n`;
    const right = line([span('email_address', 'a.b@example.com'), span('ip_address', '10.1.2.3')]);
    writeFileSync(file, right);
    const good = run('--json');
    expect(good.status).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ texts: 1, all: { recall: 1, precision: 1 }, short: [] });
    writeFileSync(file, right + line([span('email_address', 'Mail')]));
    const bad = run('--failures');
    expect(bad.status).toBe(1);
    expect(bad.stdout).toContain('missed email_address "Mail" (');
    expect(bad.stdout).toContain('short of the aims: email_address: recall 50 %');
  });
});
