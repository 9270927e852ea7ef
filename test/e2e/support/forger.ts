/** An ext_authz that says yes to everything with the plan of a test's choice: what an attacker on Envoy's side would do. */

import { encodeForward } from '../../../src/envoy/encode.ts';
import { grpcStatus } from '../../../src/envoy/grpc.ts';
import { startGrpcServer } from '../../../src/envoy/server.ts';
import { encodeCheckResponse } from '../../../src/envoy/services.ts';
import type { CheckRequest } from '../../../src/envoy/wire.ts';

export interface Forger {
  /** The plan for the next request; undefined: no dynamic metadata at all. */
  plan: (check: CheckRequest) => string | undefined;
  close(): void;
}

const BARE_YES = encodeCheckResponse({
  status: { code: 0 },
  ok_response: { headers: [{ header: { key: 'x-sallyport-upstream', value: 'model_demo_1' }, append_action: 2 }] },
});

export async function startForger(socket: string): Promise<Forger> {
  const forger: { plan: Forger['plan'] } = { plan: () => undefined };
  const server = await startGrpcServer(
    { listen: `unix:${socket}`, tls: undefined, maxRequestBytes: 4 * 1024 * 1024 },
    {
      check: (check, call) => {
        const plan = forger.plan(check);
        if (plan === undefined) return call.answer(BARE_YES);
        call.answer(
          encodeForward({
            setHeaders: [['x-sallyport-upstream', 'model_demo_1']],
            removeHeaders: [],
            responseHeaders: [],
            plan,
          }),
        );
      },
      process: (call) => {
        call.fail({ code: grpcStatus.unimplemented, details: 'not here' });
        return { message() {}, end() {}, closed() {} };
      },
      serving: () => true,
    },
  );
  return Object.assign(forger, { close: () => server.close() });
}
