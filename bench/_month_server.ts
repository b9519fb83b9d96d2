// Serves one gzip file over loopback HTTP, in a thread of its own.
const bench = self as unknown as Worker;
const { path, rate } = await new Promise<{ path: string; rate?: number }>((resolve) => {
  bench.onmessage = ({ data }: MessageEvent) => resolve(data);
});

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
  const file = await Deno.open(path);
  const { size } = await file.stat();
  return new Response(
    rate === undefined ? file.readable : file.readable.pipeThrough(throttle(rate)),
    {
      headers: { "content-length": String(size), etag: '"bench"' },
    },
  );
});

/** Lets through so many bytes per second. */
function throttle(rate: number): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const began = performance.now();
  let sent = 0;
  return new TransformStream({
    async transform(chunk, controller) {
      const early = sent / rate * 1000 - (performance.now() - began);
      if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
      sent += chunk.length;
      controller.enqueue(chunk);
    },
  });
}
bench.postMessage({ port: server.addr.port });
