import { bash, dag } from "sluice";

/** A first DAG: two commands, one after the other, each day. */
const hello = dag("hello", { schedule: "@daily", start: "2021-01-01" });

// What a command writes is its log; the last line is what the task puts out.
const greet = hello.task(
  "greet",
  bash({
    command: `
      echo "This is attempt $SLUICE_ATTEMPT of task $SLUICE_TASK in run $SLUICE_RUN."
      sleep 1
      echo "Hello, \${SLUICE_LOGICAL_DATE%T*}!"
    `,
  }),
);

// Reading what greet puts out makes this task wait for it. Values come in as variables, never as a part of the command.
hello.task(
  "answer",
  bash({
    command: 'sleep 1; echo "greet said: $SAID"',
    env: { SAID: greet.map((line) => line ?? "nothing") },
  }),
);

export default hello;
