import assert from "node:assert/strict";
import { Shop, WAYS } from "./_by_hand.ts";
import { refusal } from "./_sluice.ts";

for (const way of WAYS) {
  Deno.test(`pause and unpause last, and say what starts: ${way}`, async () => {
    await using shop = await Shop.open(way);
    const paused = async (id: string): Promise<boolean | null> => {
      const { dags } = await shop.look("list");
      return dags.find((dag: { id: string }) => dag.id === id).paused;
    };
    assert.deepEqual(await shop.json("unpause daily"), {
      dag: "daily",
      paused: false,
      due: 7,
      held: null,
    });
    assert.equal(await paused("daily"), false);
    assert.deepEqual(await shop.json("pause daily"), { dag: "daily", paused: true });
    assert.equal(await paused("daily"), true);
    const { note } = await shop.json("trigger daily --date 2021-01-02");
    assert.match(note, /^"daily" is paused: what is made waits until `deno task unpause daily`/);
    const { reasons } = await shop.look("why manual__20210101T230000Z work");
    assert.match(reasons[0], /^Its DAG "daily" is paused/);
    const { stdout } = await shop.says("unpause daily");
    const when = shop.serves ? "no run is due" : "7 runs start with the next `deno task serve`";
    if (!shop.serves) {
      assert.equal(stdout, `"daily" is no longer paused: ${when}\n`);
      await shop.serve();
    }
    assert.equal(await shop.settled("manual__20210101T230000Z"), "success");
    assert.equal(await shop.settled("scheduled__20210106T230000Z"), "success");
    assert.match(
      refusal(await shop.says("pause nope --json", 2), 2),
      /DAG "nope"|"nope": there is/,
    );
  });

  Deno.test(`more than 1000 runs start only when that is confirmed: ${way}`, async () => {
    await using shop = await Shop.open(way);
    const held = await shop.says("unpause hourly");
    assert.match(held.stdout, /^"hourly" is no longer paused, but held\. 3,6\d\d runs are due/);
    assert.equal(held.stderr, "Start them all: deno task unpause hourly --all\n");
    const { due, held: still } = await shop.json("unpause hourly --all");
    assert.equal(still, null);
    assert.ok(due > 3600 && due < 3700, `${due}`);
  });
}
