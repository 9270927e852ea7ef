/** The record as the CLI reads it: over the admin socket. */
import http from 'node:http';
import { adminSocket } from '../../../src/config.ts';
import { readerHeader } from '../../../src/console/admin.ts';
import type { SessionDetail, SessionSummary, SqlResult } from '../../../src/console/archive.ts';
import type { Stack } from './stack.ts';

export interface ArchiveClient {
  sessions(): Promise<readonly SessionSummary[]>;
  /** Undefined until the session has been shipped to the store with its end. */
  show(id: string): Promise<SessionDetail | undefined>;
  sql(query: string, options?: { readonly write: boolean }): Promise<SqlResult>;
}

export function archiveClient({ config }: Pick<Stack, 'config'>): ArchiveClient {
  const call = async (method: string, path: string, body?: object): Promise<{ status: number; value: unknown }> =>
    new Promise((resolve, reject) => {
      const headers = { [readerHeader]: 'test', 'content-type': 'application/json' };
      const request = http.request({ socketPath: adminSocket(config), method, path, headers }, (response) => {
        let text = '';
        response.on('data', (part: Buffer) => {
          text += part.toString('utf8');
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, value: JSON.parse(text) }));
      });
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const good = ({ status, value }: { status: number; value: unknown }): unknown => {
    if (status !== 200) throw new Error(JSON.stringify(value));
    return value;
  };
  return {
    sessions: async () =>
      (good(await call('GET', '/v1/sessions?limit=1000')) as { sessions: SessionSummary[] }).sessions,
    show: async (id) => {
      const { status, value } = await call('GET', `/v1/sessions/${id}/show`);
      const { session } = value as { session?: SessionDetail };
      return status === 200 && session?.how !== '' ? session : undefined;
    },
    sql: async (query, options = { write: false }) =>
      good(await call('POST', '/v1/sql', { query, ...options })) as SqlResult,
  };
}
