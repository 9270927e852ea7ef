import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLog, type LogFields, type LogLevel } from '../../../src/observe/log.ts';

function capture(level: LogLevel = 'trace') {
  const lines: string[] = [];
  const log = createLog({ level, target: { write: (line: string) => lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown> };
}

describe('the log', () => {
  it('writes one JSON line with time, level, message and fields', () => {
    const { log, last } = capture();
    log.info('request admitted', { session: 's1', status: 200, durationMs: 1.5 });
    expect(last()).toMatchObject({ level: 30, msg: 'request admitted', session: 's1', status: 200, durationMs: 1.5 });
    expect(String(last()['time'])).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(last()).not.toHaveProperty('hostname');
  });

  it.each([
    ['a prompt', { prompt: 'my card is 4111 1111 1111 1111' }],
    ['a token', { token: 'eyJhbGciOi.4111' }],
    ['claims', { claims: { email: '4111@example.com' } }],
    ['headers', { headers: { authorization: 'Bearer 4111' } }],
    ['an object in a field that exists', { session: { text: '4111' } }],
    ['a list in a field that exists', { code: ['4111'] }],
  ])('never writes %s, even when the types are got around', (_, fields) => {
    const { log, lines } = capture();
    log.error('something happened', fields as unknown as LogFields);
    log.with(fields as unknown as LogFields).error('again');
    expect(lines.join('')).not.toContain('4111');
    expect(lines).toHaveLength(2);
  });

  it('keeps an error’s name and place, but not a message that quotes its input', () => {
    const { log, last, lines } = capture();
    let error: unknown;
    try {
      JSON.parse('My card is 4111');
    } catch (caught) {
      error = caught;
    }
    log.error('a body could not be read', { error: new Error('reading 4111 failed', { cause: error }) });
    expect(lines.join('')).not.toMatch(/4111|My card/);
    expect(last()['error']).toMatchObject({ name: 'Error', cause: { name: 'SyntaxError' } });
  });

  it('keeps a line of another program as a field, up to 500 characters', () => {
    const { log, last } = capture();
    log.warn('envoy says', { part: 'envoy', line: 'x'.repeat(10_000) });
    expect(last()).toMatchObject({ part: 'envoy', line: 'x'.repeat(500) });
    expect(last()).not.toHaveProperty('error');
  });

  it('keeps the message of an error that has a code', () => {
    const { log, last } = capture();
    log.error('the journal failed', { error: Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }) });
    expect(last()['error']).toMatchObject({ code: 'ENOSPC', message: 'no space left on device' });
  });

  it('stays one line and harmless on a terminal, whatever a field holds', () => {
    const { log, lines } = capture();
    log.warn('refused', { path: '/v1\r\n{"level":60}\u001b[2J' });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toMatch(/\p{Cc}/u);
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = capture('warn');
    log.info('not this', {});
    log.warn('this', {});
    expect(lines).toHaveLength(1);
  });

  it('gives the fields of `with` to every line, an error among them', () => {
    const { log, last } = capture();
    log.with({ part: 'shipper' }).with({ writer: 'w1' }).debug('tick', { count: 3 });
    expect(last()).toMatchObject({ part: 'shipper', writer: 'w1', count: 3 });
  });

  it('writes to a file that only its owner can read, at once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
    const file = join(folder, 'a', 'sallyport.log');
    createLog({ level: 'info', target: { file } }).info('here', {});
    expect(readFileSync(file, 'utf8')).toContain('"msg":"here"');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    rmSync(folder, { recursive: true });
  });
});
