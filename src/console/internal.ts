import { Hono } from 'hono';

/** State of one part that the gateway needs. */
export type PartStatus =
  | { readonly ready: true; readonly detail?: string }
  | { readonly ready: false; readonly reason: string };

/** What the internal listener shows. All functions are cheap: they are called at each probe. */
export interface InternalSources {
  readonly version: string;
  /** Part name (`journal`, `store`, `policies`, `keys`, …) → its state now. */
  readonly parts: Readonly<Record<string, () => PartStatus>>;
  /** Parts whose trouble is shown but does not take the gateway out of service: the store may be down for hours. */
  readonly tolerated: readonly string[];
  /** True once shutdown has begun: not ready, whatever the parts say. */
  readonly draining: () => boolean;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

/** The app of the internal listener: `/healthz`, `/readyz`, `/metrics`. No content, no identities, no credentials. */
export function createInternalApp(sources: InternalSources): Hono {
  const app = new Hono();
  app.get('/healthz', (c) => c.json({ status: 'ok', version: sources.version }));
  app.get('/readyz', (c) => {
    const { ready, body } = readiness(sources);
    return c.json(body, ready ? 200 : 503);
  });
  app.get('/metrics', async (c) =>
    c.body(await sources.metrics.text(), 200, { 'content-type': sources.metrics.contentType }),
  );
  app.notFound((c) => c.json({ error: 'Not found. There are /healthz, /readyz and /metrics.' }, 404));
  app.onError((error, c) => c.json({ error: `The gateway failed to answer (${error.name}).` }, 500));
  return app;
}

/** Whether requests would be served, and every part's state with the reasons. A part that throws is not ready. */
export function readiness(sources: Pick<InternalSources, 'parts' | 'tolerated' | 'draining'>) {
  const parts: Record<string, PartStatus> = {};
  const reasons: string[] = [];
  if (sources.draining()) reasons.push('shutting down');
  for (const [name, read] of Object.entries(sources.parts)) {
    const status = ask(read);
    parts[name] = status;
    if (!status.ready && !sources.tolerated.includes(name)) reasons.push(`${name}: ${status.reason}`);
  }
  const ready = reasons.length === 0;
  return { ready, body: { status: ready ? 'ready' : 'not ready', reasons, parts } };
}

function ask(read: () => PartStatus): PartStatus {
  try {
    return read();
  } catch (error) {
    return { ready: false, reason: `its state cannot be read (${error instanceof Error ? error.name : 'unknown'})` };
  }
}
