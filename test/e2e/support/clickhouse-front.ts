/**
 * Enough of ClickHouse's HTTP interface over the embedded engine for the official client to talk to the real engine:
 * ping, queries with parameters, inserts with a body, Basic credentials, gzip, errors with their code in the header.
 */

import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Engine, EngineRefusal } from '../../../src/store/engine.ts';
import { insertedColumns } from '../../../src/store/rows.ts';

export interface Front {
  readonly url: string;
  /** What the next requests meet instead of the engine. */
  readonly faults: ('reset' | '503')[];
  /** Number of inserts that reached the engine. */
  readonly inserts: () => number;
  close(): Promise<void>;
}

/** `workDir`: the engine's. */
export async function startFront(engine: Engine, workDir: string, user: string, password: string): Promise<Front> {
  const faults: Front['faults'] = [];
  let inserts = 0;
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => refuse(response, error));
  });
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://front');
    const fault = faults.shift();
    if (fault === 'reset') {
      request.socket.destroy();
      return;
    }
    const body = await bodyOf(request);
    if (fault === '503') return fail(response, 503, 210, 'Code: 210. DB::NetException: down. (NETWORK_ERROR)');
    if (url.pathname === '/ping') return send(request, response, Buffer.from('Ok.\n'));
    if (request.headers.authorization !== expected)
      return fail(response, 403, 516, 'Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)');
    const sql = url.searchParams.get('query') ?? body.toString();
    const insert = /^\s*insert\s+into\s+(\w+)\.(events|contents)\s*\(([^)]*)\)\s*format\s+TabSeparated\s*$/i.exec(sql);
    if (insert !== null) {
      const file = `front-${++inserts}.tsv`;
      const known = insertedColumns[insert[2] as keyof typeof insertedColumns];
      const columns = insert[3]!.split(',').map((name) => {
        return known.find((column) => column.name === name.trim().replaceAll(/[`"]/g, ''))!;
      });
      await writeFile(join(workDir, file), body);
      const tables = [{ table: `${insert[1]}.${insert[2]}`, columns, file }];
      await engine.call({ op: 'insert', tables }, 60_000).finally(() => rm(join(workDir, file)));
      return send(request, response, Buffer.alloc(0));
    }
    const format = /\bformat\s+(\w+)\s*$/i.exec(sql);
    const text = format === null ? sql : sql.slice(0, format.index);
    if (url.searchParams.get('readonly') === '2') {
      const asked = { sql: text, format: format?.[1] ?? 'TabSeparated', database: 'sallyport', write: false };
      return send(request, response, Buffer.from(await engine.call({ op: 'sql', ...asked }, 60_000)));
    }
    if (!/^\s*select\b/i.test(text)) {
      await engine.call({ op: 'run', sql: text }, 60_000);
      return send(request, response, Buffer.alloc(0));
    }
    const parameters = Object.fromEntries(
      [...url.searchParams].flatMap(([name, value]) => (name.startsWith('param_') ? [[name.slice(6), value]] : [])),
    );
    const data = await engine.call(
      { op: 'query', sql: text, parameters, format: format?.[1] ?? 'TabSeparated' },
      60_000,
    );
    return send(request, response, Buffer.from(data));
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    inserts: () => inserts,
    close: async () => {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const body = Buffer.concat(parts);
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
}

function send(request: IncomingMessage, response: ServerResponse, data: Buffer): void {
  const gzip = /gzip/.test(request.headers['accept-encoding'] ?? '');
  response.writeHead(200, gzip ? { 'content-encoding': 'gzip' } : {});
  response.end(gzip ? gzipSync(data) : data);
}

function refuse(response: ServerResponse, error: unknown): void {
  if (error instanceof EngineRefusal) fail(response, 500, error.clickhouseCode, error.message);
  else fail(response, 503, 0, String(error));
}

function fail(response: ServerResponse, status: number, code: number, text: string): void {
  response.writeHead(status, { 'x-clickhouse-exception-code': String(code) });
  response.end(`${text} (version 26.7.2.1 (official build))`);
}
