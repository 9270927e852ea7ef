/** A chat call that can be watched while it runs, and that reports an answer which was cut off. */
import http from 'node:http';

/** Where to ask: an Envoy, and who gives the tokens. */
export interface Asked {
  readonly url: string;
  token(who: 'jane' | 'sam'): Promise<string>;
}

export interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** False when the connection ended before the response did. */
  readonly complete: boolean;
}

export interface Call {
  /** What has arrived so far. */
  readonly text: string;
  /** Resolves once this has arrived; rejects when the answer ends without it. */
  saw(part: string): Promise<void>;
  /** The answer, whole or cut off. Rejects when there was none at all. */
  readonly done: Promise<Got>;
  /** The client goes away. */
  abort(): void;
}

export const chat = { model: 'demo', messages: [{ role: 'user', content: 'hi' }] };
export const streamedChat = { ...chat, stream: true };

export async function open(to: Asked, body: object | string = chat, who: 'jane' | 'sam' = 'sam'): Promise<Call> {
  const token = await to.token(who);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const watchers = new Set<() => void>();
  const state = { text: '', over: false };
  const changed = (): void => {
    for (const watcher of watchers) watcher();
  };
  const request = http.request(`${to.url}/v1/chat/completions`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    },
  });
  const done = new Promise<Got>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      const finish = () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: state.text,
          complete: response.complete,
        });
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        state.text += part;
        changed();
      });
      response.on('end', finish);
      response.on('error', finish);
    });
  }).finally(() => {
    state.over = true;
    changed();
  });
  done.catch(() => {}); // whoever awaits it hears of it; one that was aborted on purpose need not
  request.end(text);
  return {
    get text() {
      return state.text;
    },
    saw: (part) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (state.text.includes(part)) resolve();
          else if (state.over) reject(new Error(`the answer ended without ${part}: ${state.text}`));
          else return;
          watchers.delete(look);
        };
        watchers.add(look);
        look();
      }),
    done,
    abort: () => request.destroy(),
  };
}

export async function ask(to: Asked, body: object | string = chat, who: 'jane' | 'sam' = 'sam'): Promise<Got> {
  return (await open(to, body, who)).done;
}

/** `error.code` of a refusal in the shape of OpenAI's API. */
export const codeOf = ({ text }: Pick<Got, 'text'>): string | undefined =>
  (JSON.parse(text) as { error?: { code?: string } }).error?.code;
