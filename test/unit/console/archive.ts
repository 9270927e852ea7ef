import type { Archive, Look, RecordedSession, SessionDetail, SessionFilter } from '../../../src/console/archive.ts';
import { QueryError } from '../../../src/console/archive.ts';

export const sessionId = '0198c2f4-1d2a-7c3b-8e4f-0123456789ab';

export const detail: SessionDetail = {
  session: sessionId,
  at: Date.UTC(2025, 0, 2, 3, 4, 5),
  subject: 'sam',
  email: 'sam@example.com',
  team: 'payments',
  provider: 'demo',
  kind: 'person',
  groups: ['contractors', 'night-shift'],
  model: 'demo',
  modelVersion: '1',
  format: 'openai-chat',
  stream: true,
  verdict: 'allow',
  how: 'complete',
  code: '',
  status: 200,
  message: '',
  detail: '',
  revision: 'sha256:0011223344556677',
  http: {
    method: 'POST',
    host: 'models.example',
    path: '/v1/chat/completions',
    clientAddress: '127.0.0.1',
    userAgent: 'OpenAI/JS',
    requestId: 'r-1',
    traceId: '',
  },
  rules: [
    { policy: 'demo', rule: 'all-may-chat', effect: 'allow', mode: 'enforce' },
    { policy: 'demo', rule: 'mask-pii', effect: 'mask', mode: 'dryRun', severity: 'low', labels: { owner: 'privacy' } },
  ],
  limits: [
    {
      policy: 'demo',
      rule: 'budget',
      mode: 'enforce',
      unit: 'tokens',
      limit: 200_000,
      remaining: 187_711,
      windowMs: 86_400_000,
      exceeded: false,
    },
  ],
  responseRules: [],
  maskedRequest: {},
  withheld: undefined,
  guards: { safety: { flagged: true, categories: ['S1'], code: '' } },
  commit: '',
  operation: 'chat',
  findings: {},
  filters: { slurs: 1 },
  toolCall: '',
  masked: { email: 2, credit_card: 5 },
  tools: [],
  inputTokens: 12,
  outputTokens: 155,
  estimatedTokens: 9,
  gateUs: 1_234,
  firstByteMs: 20.4,
  durationMs: 1_520,
  bytes: 4_000,
  chunks: 160,
  request: 'Who is the customer?',
  response: 'She is <email>.\n\u001b[2JSecond line',
};

/** An archive over a list in memory that keeps the looks it was told of. */
export class MemoryArchive implements Archive {
  readonly looks: Look[] = [];
  readonly filters: SessionFilter[] = [];
  readonly #sessions: readonly SessionDetail[];
  isRecordBroken = false;

  constructor(sessions: readonly SessionDetail[]) {
    this.#sessions = sessions;
  }

  async sessions(filter: SessionFilter): Promise<readonly SessionDetail[]> {
    this.filters.push(filter);
    return this.#sessions
      .filter(({ subject, email }) => filter.who === undefined || filter.who === subject || filter.who === email)
      .slice(0, filter.limit);
  }

  async session(id: string): Promise<SessionDetail | undefined> {
    return this.#sessions.find(({ session }) => session === id);
  }

  async recorded(): Promise<readonly RecordedSession[]> {
    return this.#sessions.map(({ session }) => ({
      session,
      request: {},
      decision: {},
      findings: undefined,
      end: undefined,
      text: undefined,
    }));
  }

  async sql(query: string, { write }: { readonly write: boolean }) {
    if (query.startsWith('SELEKT')) throw new QueryError('Syntax error at SELEKT');
    if (query.startsWith('DROP') && !write) throw new QueryError('Code: 164. Cannot execute query. (READONLY)');
    return { columns: ['verdict', 'count()'], rows: [['allow', 12] as const, ['deny\u001b[31m', 3] as const] };
  }

  async looked(look: Look): Promise<void> {
    if (this.isRecordBroken) throw new Error('the journal is full');
    this.looks.push(look);
  }
}
