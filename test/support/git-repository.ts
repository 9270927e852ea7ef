/** A repository that a test fills, and a server of git's smart HTTP protocol in front of it. Neither needs a git binary. */
import fs from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import git from 'isomorphic-git';

export interface TestRepository {
  readonly dir: string;
  /** Writes the files and commits them on the branch; returns the commit. `sign` gets what is to be signed, gives the signature. */
  commit(files: Readonly<Record<string, string>>, more?: CommitMore): Promise<string>;
  /** Moves the branch `main`, wherever that leads. */
  reset(commit: string): Promise<void>;
  tag(name: string, commit: string): Promise<void>;
  close(): Promise<void>;
}

export interface CommitMore {
  readonly sign?: (payload: string) => string;
  readonly parents?: readonly string[];
}

const person = { name: 'Jane', email: 'jane@example.com' };

export async function createRepository(): Promise<TestRepository> {
  const dir = await mkdtemp(join(tmpdir(), 'repository-'));
  await git.init({ fs, dir, defaultBranch: 'main' });
  let seconds = 1_790_000_000;
  return {
    dir,
    commit: async (files, { sign, parents } = {}) => {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(dir, path)), { recursive: true });
        await writeFile(join(dir, path), text);
        await git.add({ fs, dir, filepath: path });
      }
      seconds += 1;
      const author = { ...person, timestamp: seconds, timezoneOffset: 0 };
      const base = { fs, dir, message: `change ${seconds}`, author, ...(parents && { parent: [...parents] }) };
      if (sign === undefined) return git.commit(base);
      return git.commit({ ...base, signingKey: 'x', onSign: ({ payload }) => ({ signature: sign(payload) }) });
    },
    reset: (commit) => git.writeRef({ fs, dir, ref: 'refs/heads/main', value: commit, force: true }),
    tag: (name, commit) => git.tag({ fs, dir, ref: name, object: commit, force: true }),
    close: () => rm(dir, { recursive: true, force: true }),
  };
}

export interface GitServer {
  readonly url: string;
  /** Requests, as `GET /info/refs` with their authorization. */
  readonly asked: { readonly what: string; readonly authorization: string | undefined }[];
  /** Answers this instead of what the repository says; undefined: as the repository. */
  broken: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** What the repository says, for a `broken` that is so in parts only. */
  answer(request: IncomingMessage, response: ServerResponse): void;
  close(): Promise<void>;
}

/** Serves one repository at `/policies.git`, version 0 of the protocol, with shallow copies. */
export async function serveRepository(dir: string): Promise<GitServer> {
  const asked: GitServer['asked'] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request;
    asked.push({
      what: `${method} ${url.replace(/^\/policies\.git/, '').replace(/\?.*$/, '')}`,
      authorization: request.headers.authorization,
    });
    return (own.broken ?? own.answer)(request, response);
  });
  const answer: GitServer['answer'] = (request, response) => {
    const { method, url } = request;
    if (method === 'GET' && url === '/policies.git/info/refs?service=git-upload-pack') void advertise(dir, response);
    else if (method === 'POST' && url === '/policies.git/git-upload-pack') void upload(dir, request, response);
    else response.writeHead(404).end();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const own: GitServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/policies.git`,
    asked,
    broken: undefined,
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return own;
}

/** A pkt-line. */
export const packet = (data: string | Buffer): Buffer => {
  const bytes = Buffer.from(data);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
};
const flush = Buffer.from('0000');

async function advertise(dir: string, response: ServerResponse): Promise<void> {
  const names = [
    ...(await git.listBranches({ fs, dir })).map((name) => `refs/heads/${name}`),
    ...(await git.listTags({ fs, dir })).map((name) => `refs/tags/${name}`),
  ];
  const refs = await Promise.all(names.map(async (name) => `${await git.resolveRef({ fs, dir, ref: name })} ${name}`));
  const capabilities = 'shallow side-band-64k ofs-delta agent=test';
  const lines = refs.map((ref, index) => packet(index === 0 ? `${ref}\0${capabilities}\n` : `${ref}\n`));
  response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
  response.end(Buffer.concat([packet('# service=git-upload-pack\n'), flush, ...lines, flush]));
}

async function upload(dir: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = Buffer.concat(await request.toArray()).toString('latin1');
  const [, want = ''] = /want ([0-9a-f]{40})/.exec(body) ?? [];
  const [, depth = ''] = /deepen (\d+)/.exec(body) ?? [];
  const { oids, shallow } = await reachable(dir, want, Number(depth));
  const { packfile } = await git.packObjects({ fs, dir, oids });
  const pack = Buffer.from(packfile!);
  const bands: Buffer[] = [];
  for (let at = 0; at < pack.length; at += 60_000)
    bands.push(packet(Buffer.concat([Buffer.of(1), pack.subarray(at, at + 60_000)])));
  response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
  response.end(
    Buffer.concat([
      ...shallow.map((oid) => packet(`shallow ${oid}`)),
      flush,
      packet('NAK\n'),
      packet('\x02Counting objects\n'),
      ...bands,
      flush,
    ]),
  );
}

async function reachable(dir: string, tip: string, depth: number) {
  const oids = new Set<string>();
  const shallow: string[] = [];
  const tree = async (oid: string): Promise<void> => {
    oids.add(oid);
    for (const entry of (await git.readTree({ fs, dir, oid })).tree)
      if (entry.type === 'tree') await tree(entry.oid);
      else oids.add(entry.oid);
  };
  let level = [tip];
  for (let left = depth; level.length > 0; left -= 1) {
    const next: string[] = [];
    for (const oid of level) {
      oids.add(oid);
      const { object, type } = await git.readObject({ fs, dir, oid });
      if (type === 'tag') next.push((object as unknown as { object: string }).object);
      else {
        const { commit } = await git.readCommit({ fs, dir, oid });
        await tree(commit.tree);
        if (left <= 1 && commit.parent.length > 0) shallow.push(oid);
        else next.push(...commit.parent);
      }
    }
    level = next;
  }
  return { oids: [...oids], shallow };
}
