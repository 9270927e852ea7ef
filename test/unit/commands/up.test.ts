import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { project } from './run.ts';

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const [providerPort, modelPort] = [await freePort(), await freePort()];
const { folder, file, stateDir } = project('', `http://127.0.0.1:${modelPort}`, providerPort);
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts the program; `said` waits for a text on either stream, `end` for the exit. */
function program(args: readonly string[], mode = '', config = file) {
  const env = { PATH: process.env['PATH'], MODE: mode, ENVOY_BIN: process.execPath };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'up-program.ts'), ...args, '--config', config], {
    env,
  });
  children.push(child);
  let output = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += String(chunk);
      for (const check of waiting) check();
    });
  const end = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, output })),
  );
  const said = (text: string) =>
    new Promise<void>((resolve) => {
      const check = () => output.includes(text) && resolve();
      waiting.add(check);
      check();
    });
  return { child, end, said };
}

describe('up and serve', () => {
  it('up runs Envoy in front, says where everything is, and stops cleanly on Ctrl-C', async () => {
    const { child, end, said } = program(['up']);
    await said('Sallyport is up: http://127.0.0.1:10000, http://127.0.0.1:9190');
    child.kill('SIGINT');
    const { code, output } = await end;
    expect(code).toBe(0);
    expect(output).toContain('  ✓ gateway with Envoy\n');
    expect(output).toContain('Stopped.');
    expect(output).not.toContain('\u001b');
  });

  it('takes Ctrl-C that arrives three times at once, from terminal, npm and its script, for one', async () => {
    const { child, end, said } = program(['up'], 'hangs-in-close');
    await said('Sallyport is up');
    for (let n = 0; n < 3; n++) child.kill('SIGINT');
    await said('Stopping');
    expect(child.exitCode).toBeNull();
    // The second Ctrl-C of a person comes later than that.
    await sleep(600);
    child.kill('SIGINT');
    expect((await end).code).toBe(130);
  });

  it('does not lose a Ctrl-C that comes while it starts', async () => {
    const { child, end, said } = program(['up'], 'starts-slowly');
    await said('half-way');
    child.kill('SIGINT');
    const { code, output } = await end;
    expect(code).toBe(0);
    expect(output).toContain('Stopped.');
    expect(output).not.toContain('Sallyport is up');
  });

  it('serve runs no Envoy, logs JSON lines, and stops on SIGTERM', async () => {
    const { child, end, said } = program(['serve']);
    await said('gateway without Envoy');
    child.kill('SIGTERM');
    const { code, output } = await end;
    expect(code).toBe(0);
    const [line] = output.split('\n');
    expect(JSON.parse(line ?? '')).toMatchObject({ level: 30, part: 'gateway without Envoy' });
  });

  it('stops with 1 and the reason when a part fails that it needs', async () => {
    const { code, output } = await program(['up'], 'part-fails').end;
    expect(code).toBe(1);
    expect(output).toContain('Envoy ended (exit code 1).');
    expect(output).toContain('Stopped.');
  });

  it('says why it did not start, and what to do', async () => {
    const { code, output } = await program(['up'], 'does-not-start').end;
    expect(code).toBe(1);
    expect(output).toContain('The gateway did not start: the journal is locked by process 7\n  → Stop process 7.\n');
  });
});

describe('up --demo', () => {
  it('brings provider and model up first, shows what to paste, and takes all of it down again', async () => {
    const { child, end, said } = program(['up', '--demo']);
    await said('What to try next');
    expect(existsSync(join(stateDir, 'demo', 'running.json'))).toBe(true);
    const discovery = await fetch(`http://127.0.0.1:${providerPort}/.well-known/openid-configuration`);
    expect(discovery.status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${modelPort}/v1/models`)).status).toBe(401);
    child.kill('SIGINT');
    const { code, output } = await end;
    expect(code).toBe(0);
    expect(output.indexOf('OpenID provider on')).toBeLessThan(output.indexOf('gateway with Envoy'));
    for (const part of [
      'curl -N http://127.0.0.1:10000/v1/chat/completions',
      'npx sallyport token --as sam',
      'from openai import OpenAI',
      "import OpenAI from 'openai'",
    ])
      expect(output).toContain(part);
    expect(existsSync(join(stateDir, 'demo', 'running.json'))).toBe(false);
    await expect(fetch(`http://127.0.0.1:${providerPort}/`)).rejects.toThrow();
  });

  it('says which port is taken, and leaves nothing running', async () => {
    const other = createServer().listen(modelPort, '127.0.0.1');
    await once(other, 'listening');
    const { code, output } = await program(['up', '--demo']).end;
    other.close();
    expect(code).toBe(1);
    expect(output).toContain(`Port ${modelPort}, which the demo model needs, is in use.`);
    await expect(fetch(`http://127.0.0.1:${providerPort}/`)).rejects.toThrow();
  });

  it('needs a configuration that has the demo in it', async () => {
    const other = project();
    const { code, output } = await program(['up', '--demo'], '', other.file).end;
    rmSync(other.folder, { recursive: true });
    expect(code).toBe(2);
    expect(output).toContain('needs an identity provider `demo` and a model `demo`');
  });

  it('takes the demo down again when the gateway does not start', async () => {
    const { code } = await program(['up', '--demo'], 'does-not-start').end;
    expect(code).toBe(1);
    await expect(fetch(`http://127.0.0.1:${modelPort}/`)).rejects.toThrow();
    expect(existsSync(join(stateDir, 'demo', 'running.json'))).toBe(false);
  });
});
