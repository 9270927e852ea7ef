import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../../src/observe/metrics.ts';

const build = { version: '1.2.3', node: 'v24.0.0' };

describe('the metrics', () => {
  it('count requests by verdict and code, chunks, bytes and what was masked', async () => {
    const metrics = createMetrics(build);
    metrics.request('allow', '');
    metrics.request('deny', 'policy_denied');
    metrics.request('deny', 'policy_denied');
    metrics.chunk(10, 0);
    metrics.chunk(10, 18);
    metrics.masked('email', 3);
    metrics.stream('complete');
    metrics.limit('reserved');
    metrics.limit('refused');
    metrics.limit('refused');
    const text = await metrics.text();
    expect(text).toContain('sallyport_requests_total{verdict="allow",code=""} 1');
    expect(text).toContain('sallyport_requests_total{verdict="deny",code="policy_denied"} 2');
    expect(text).toContain('sallyport_chunks_total 2');
    expect(text).toContain('sallyport_response_bytes_total{side="model"} 20');
    expect(text).toContain('sallyport_response_bytes_total{side="caller"} 18');
    expect(text).toContain('sallyport_masked_total{detector="email"} 3');
    expect(text).toContain('sallyport_responses_total{how="complete"} 1');
    expect(text).toContain('sallyport_limits_total{what="refused"} 2');
    expect(text).toContain('sallyport_build_info{version="1.2.3",node="v24.0.0"} 1');
  });

  it('are in seconds, with buckets below a millisecond for the gate and the journal', async () => {
    const metrics = createMetrics(build);
    metrics.gate('allow', 300);
    metrics.commit(700, 4);
    const text = await metrics.text();
    expect(text).toContain('sallyport_gate_seconds_bucket{le="0.00025",verdict="allow"} 0');
    expect(text).toContain('sallyport_gate_seconds_bucket{le="0.0005",verdict="allow"} 1');
    expect(text).toContain('sallyport_gate_seconds_sum{verdict="allow"} 0.0003');
    expect(text).toContain('sallyport_journal_commit_seconds_count 1');
    expect(text).toContain('sallyport_journal_events_total 4');
  });

  it('read gauges at each scrape', async () => {
    const metrics = createMetrics(build);
    let live = 1;
    let open = true;
    metrics.watch({
      liveStreams: () => live,
      journalBytes: () => 4096,
      journalOpen: () => open,
      shipperLagMs: () => 1500,
      shipperPending: () => 7,
    });
    expect(await metrics.text()).toMatch(/sallyport_live_streams 1\n[\s\S]*sallyport_journal_open 1\n/);
    live = 2;
    open = false;
    const text = await metrics.text();
    expect(text).toContain('sallyport_live_streams 2\n');
    expect(text).toContain('sallyport_journal_open 0\n');
    expect(text).toContain('sallyport_journal_bytes 4096\n');
    expect(text).toContain('sallyport_shipper_lag_seconds 1.5\n');
    expect(text).toContain('sallyport_shipper_pending_events 7\n');
  });

  it('show the event loop’s delay and the process', async () => {
    const text = await createMetrics(build).text();
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(text).toContain('process_resident_memory_bytes');
  });

  it('of two gateways in one process do not mix', async () => {
    const [one, two] = [createMetrics(build), createMetrics(build)];
    one.request('allow', '');
    expect(await two.text()).not.toContain('sallyport_requests_total{');
  });
});
