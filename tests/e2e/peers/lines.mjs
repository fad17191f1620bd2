// The line protocol between the journeys and their people: one JSON object a line.
//
// In:  {"id", "who", "do", …arguments}   Out: {"id", "ok": value} or {"id", "error": text}, and {"event", "who", …} at any time.
import { createInterface } from "node:readline";

export const say = (line) => process.stdout.write(`${JSON.stringify(line, (_, v) => (typeof v === "bigint" ? Number(v) : v))}\n`);

/** Serves requests until standard input ends, then `goodbye` and exit. */
export async function serve(answer, goodbye = async () => {}) {
  process.on("unhandledRejection", (error) => say({ event: "unhandled", who: "", error: String(error?.stack ?? error) }));
  say({ event: "ready", who: "" });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    answer(request).then(
      (ok) => say({ id: request.id, ok: ok ?? null }),
      (error) => say({ id: request.id, error: String(error?.message ?? error), code: error?.code ?? null, status: error?.status ?? null }),
    );
  }
  await goodbye();
  process.exit(0);
}
