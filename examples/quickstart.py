"""Two tasks in a workflow, recorded while they run and read back when they are done."""

import provtel


@provtel.task(outputs="o1")
def sum_one(i1: int) -> int:
    return i1 + 1


@provtel.task(outputs="o2")
def mult_two(o1: int) -> int:
    return o1 * 2


@provtel.workflow
def main() -> None:
    o1 = sum_one(3)
    o2 = mult_two(o1)
    print("Final output", o2)


main()

with provtel.connect() as store:
    for record in store.tasks():
        print(record.name, record.used, "->", record.generated)
