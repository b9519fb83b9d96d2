import assert from "node:assert/strict";
import fc from "fast-check";
import { type Context, dag, template } from "../../engine/mod.ts";
import { empty, http, request } from "../../operators/mod.ts";
import { testContext } from "../_context.ts";

const start = Temporal.ZonedDateTime.from("2021-01-02T06:30:05.25[Europe/Paris]");
const ctx: Context = {
  ...testContext(),
  dag: "taxi",
  run: "scheduled__20210102T053005Z",
  task: "load",
  date: start,
  interval: { start, end: start.add({ days: 1 }) },
  params: { color: "yellow", n: 5, on: false, none: null, list: ["a", 1], "x-y": "dash" },
};

const rendered: [template: string, text: string][] = [
  ["", ""],
  ["no { braces } {{ '}}' }}", "no { braces } }}"],
  ["{{ ds }}", "2021-01-02"],
  ["{{ds}}|{{ ds_nodash }}", "2021-01-02|20210102"],
  ["{{ ts }}", "2021-01-02T06:30:05.25+01:00"],
  ["{{ ts_nodash }}", "20210102T063005"],
  [
    "{{ logical_date }} {{ execution_date }}",
    "2021-01-02T06:30:05.25+01:00 2021-01-02T06:30:05.25+01:00",
  ],
  ["{{ data_interval_start | ds }} to {{ data_interval_end|ds }}", "2021-01-02 to 2021-01-03"],
  ["{{ data_interval_end | ds_nodash }}", "20210103"],
  ["{{ data_interval_end | ts_nodash }}", "20210103T063005"],
  ["{{ execution_date.strftime('%Y_%m') }}", "2021_01"],
  ['{{ data_interval_end.strftime( "%d/%m" ) }}', "03/01"],
  ["yellow_taxi_{{ strftime('%Y_%m') }}", "yellow_taxi_2021_01"],
  ["{{ strftime('100 %% }}') }}", "100 % }}"],
  ["{{ run_id }} {{ dag_id }} {{ task_id }}", "scheduled__20210102T053005Z taxi load"],
  ["{{ dag.dag_id }}.{{ task.task_id }}", "taxi.load"],
  ["{{ params.color }}-{{ params['color'] }}-{{ params[\"x-y\"] }}", "yellow-yellow-dash"],
  ["{{ params.n }} {{ params.on }} {{ params.none }} {{ params.list }}", '5 false null ["a",1]'],
  ["{{ '{{' }}{{ \"it's\" }}{{ '}}' }}", "{{it's}}"],
  ["{{\n\tds\n}}\n{{ ds }}", "2021-01-02\n2021-01-02"],
  ["${#array} }} {#ds#}", "${#array} }} {#ds#}"],
];

for (const [text, expected] of rendered) {
  Deno.test(`the template ${JSON.stringify(text)} gives ${JSON.stringify(expected)}`, () => {
    assert.equal(template(text)(ctx), expected);
  });
}

const refused: [what: string, template: string, error: RegExp][] = [
  [
    "an unknown name",
    "a {{ dss }}",
    /column 6: there is no "dss"; there are ds, ds_nodash, .*params\.<name>/,
  ],
  ["on its line", "a\n\n{{ x }}", /at line 3, column 4: there is no "x"/],
  ["a name of Object's", "{{ constructor }}", /there is no "constructor"/],
  ["__proto__", "{{ __proto__ }}", /there is no "__proto__"/],
  [
    "a property of a date",
    "{{ execution_date.year }}",
    /column 19: a date has no "year", only strftime/,
  ],
  [
    "the constructor of a date",
    "{{ ds.constructor('return 1')() }}",
    /column 6: ".constructor" was not expected/,
  ],
  [
    "the constructor of text",
    "{{ ''.constructor.constructor('x')() }}",
    /".constructor.constructor" was not expected/,
  ],
  ["a deeper param", "{{ params.a.b }}", /".b" was not expected, but "}}"/],
  ["all params", "{{ params }}", /a param is written params\.x/],
  ["a param by a name", "{{ params[x] }}", /a param is written/],
  ["macros", "{{ macros.ds_add(ds, 7) }}", /column 4: there is no "macros.ds_add"; there are/],
  ["a call", "{{ ds() }}", /"\(" was not expected/],
  ["a sum", "{{ 1 + 1 }}", /there is no "1"/],
  ["a statement", "x {% if ds %}", /column 3: there are no statements/],
  ["nothing", "{{ }}", /there is no "}"/],
  ["no end", "{{ ds", /column 6: a "}}" is missing/],
  ["no end at all", "{{", /there is no more text/],
  ["another end", "{{ ds } }", /"}" was not expected/],
  ["an open quote", "{{ strftime('%Y) }}", /strftime takes a format in quotes/],
  ["no format", "{{ strftime }}", /strftime takes a format in quotes/],
  ["a format there is not", "{{ strftime('%Q') }}", /column 12: .*there is no directive "%Q"/],
  ["an unknown filter", "{{ ts | upper }}", /column 9: there is no filter "upper"; there are ds,/],
  ["a filter of text", "{{ params.x | ds }}", /the filter "ds" is for dates/],
];

for (const [what, text, error] of refused) {
  Deno.test(`a template with ${what} is refused when it is made`, () => {
    assert.throws(() => template(text), (thrown) => {
      assert.ok(thrown instanceof TypeError);
      assert.match(thrown.message, error);
      assert.ok(thrown.message.startsWith("Cannot read the template"), thrown.message);
      return true;
    });
  });
}

Deno.test("text without braces is itself, and text in quotes too, whatever it is", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    if (!/\{\{|\{%/.test(text)) assert.equal(template(text)(ctx), text);
    const quoted = text.replaceAll('"', "'");
    assert.equal(template(`{{ "${quoted}" }}`)(ctx), quoted);
  }));
});

Deno.test("no template makes anything but text or a sentence", () => {
  const word = fc.constantFrom(
    "{{",
    "}}",
    "ds",
    ".",
    "params",
    "x",
    "'",
    '"',
    "[",
    "]",
    "|",
    "(",
    ")",
    " ",
    "%",
  );
  fc.assert(fc.property(fc.array(word), (words) => {
    try {
      assert.equal(typeof template(words.join("")).text, "string");
    } catch (error) {
      assert.match((error as Error).message, /^Cannot read the template/);
    }
  }));
});

Deno.test("a megabyte is read in linear time", () => {
  const texts = [
    "{".repeat(1 << 20),
    "{ ".repeat(1 << 19),
    "{{ ds }}".repeat(1 << 17),
    "{{ '" + "x".repeat(1 << 20),
    "{{" + " ".repeat(1 << 20),
    "{{ " + "a".repeat(1 << 20),
    "{{ ds " + "| ds ".repeat(1 << 18),
    "{{ params." + "x.".repeat(1 << 19) + "}}",
    "\n".repeat(1 << 20) + "{{",
  ];
  for (const text of texts) {
    const began = performance.now();
    try {
      template(text)(ctx);
    } catch (error) {
      assert.ok((error as Error).message.length < 1000);
    }
    const ms = performance.now() - began;
    // In quadratic time it takes minutes.
    assert.ok(ms < 20_000, `${JSON.stringify(text.slice(0, 20))} took ${ms} ms`);
  }
});

Deno.test("a param that the DAG does not have is refused when the task is added", () => {
  const d = dag("taxi", { params: { color: "yellow" } });
  d.task("a", http({ url: template("https://x/{{ params.color }}") }));
  assert.throws(
    () => d.task("b", http({ url: template("https://x/{{ params.colour }}") })),
    /task "b" to "taxi": the template "https.*" names the param "colour"; the DAG's params are "color"/,
  );
  const headers = template("{{ params.key }}");
  assert.throws(
    () => d.task("c", request({ url: "http://x", headers: { key: headers } } as never)),
    /names the param "key"/,
  );
  assert.throws(
    () => dag("none").task("b", http({ url: template("{{ params.toString }}") })),
    /names the param "toString"; the DAG has none/,
  );
  d.task("d", empty());
  assert.deepEqual([...d.tasks.keys()], ["a", "d"]);
});
