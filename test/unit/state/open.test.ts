import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stateSection } from '../../../src/state/config.ts';
import { openState } from '../../../src/state/open.ts';
import { StateUnavailable } from '../../../src/state/store.ts';

const dir = mkdtempSync(join(tmpdir(), 'state-open-'));
afterAll(() => rmSync(dir, { recursive: true }));
const now = () => 1_000;

test('SQLite is opened by default', async () => {
  const config = stateSection.parse({ file: join(dir, 'control.db') });
  const store = await openState(config, { environment: {}, now });
  expect(await store.putIfAbsent('a', '1')).toBe(true);
  expect(store.health()).toEqual({ ready: true, detail: 'SQLite' });
  await store.close();
});

describe('Redis', () => {
  /** Takes the first command of a connection, and refuses it. */
  let received: Buffer[];
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      received.push(data);
      socket.write('-WRONGPASS no\r\n');
    });
  });
  beforeEach(async () => {
    received = [];
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));
  const config = (rest: object) =>
    stateSection.parse({
      engine: 'redis',
      url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ...rest,
    });
  const auth = (...words: readonly string[]) =>
    `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

  test('gets the user and the password of the file, without its last newline', async () => {
    const passwordFile = join(dir, 'password');
    writeFileSync(passwordFile, 'corr ect\r\n');
    const opened = openState(config({ username: 'gate', passwordFile }), { environment: {}, now });
    await expect(opened).rejects.toThrow('Redis: it refuses the user or the password (WRONGPASS)');
    expect(Buffer.concat(received).toString()).toContain(auth('AUTH', 'gate', 'corr ect'));
  });

  test('gets the password of the environment that was passed in', async () => {
    const opened = openState(config({ passwordEnv: 'REDIS' }), { environment: { REDIS: 'secret' }, now });
    await expect(opened).rejects.toThrow(/WRONGPASS/);
    expect(Buffer.concat(received).toString()).toContain(auth('AUTH', 'secret'));
  });

  test.each<[string, object, string]>([
    ['is not set', { passwordEnv: 'REDIS' }, 'the environment variable REDIS (state.passwordEnv) is not set'],
    ['is empty', { passwordEnv: 'EMPTY' }, 'the environment variable EMPTY (state.passwordEnv) is not set'],
    ['is in a file that is not there', { passwordFile: join(dir, 'no') }, 'state.passwordFile cannot be read (ENOENT)'],
    ['is in a folder', { passwordFile: dir }, 'state.passwordFile cannot be read (EISDIR)'],
  ])('is not connected to where the password %s', async (_, part, message) => {
    const opened = openState(config(part), { environment: { EMPTY: '' }, now });
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toBeInstanceOf(StateUnavailable);
    expect(received).toEqual([]);
  });

  test('is not connected to where the CA cannot be read', async () => {
    const secure = stateSection.parse({ engine: 'redis', url: 'rediss://localhost:1', caFile: join(dir, 'no.pem') });
    await expect(openState(secure, { environment: {}, now })).rejects.toThrow('state.caFile cannot be read (ENOENT)');
  });
});
