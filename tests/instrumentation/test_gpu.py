"""GPUs: NVIDIA's binding asks a library that answers by a script, or a real one; tasks share what is used by a rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from provtel.telemetry.gpu.card import own_pids
from provtel.telemetry.gpu.visible import chosen
from provtel_model.components import Batch
from provtel_model.journal import drain_journal, find_journals
from provtel_model.otlp import decode
from provtel_model.otlp.observations import decode_points
from provtel_model.record import Record

from tests.instrumentation.programs import Stage

GIB = 2**30
ONE = {
    "driver": "555.42",
    "count": 1,
    "0.uuid": "GPU-aaaa",
    "0.name": "Test GPU",
    "0.utilization": 80,
    "0.encoder": 10,
    "0.decoder": 20,
    "0.memory.total": 80 * GIB,
    "0.memory.used": 20 * GIB,
    "0.temperature": 65,
    "0.power": 250_000,
    "0.energy": 1_000_000,
    "0.fan": 40,
    "0.clock.graphics": 1410,
    "0.clock.sm": 1410,
    "0.clock.memory": 1593,
    "0.clock.video": 1275,
    "0.sm": 1,
    "0.processes": f"self:{2 * GIB}:80",
}
TWO_MORE = {
    f"{number}.{key}": value
    for number in (1, 2)
    for key, value in {"uuid": f"GPU-bbbb{number}", "name": "Test GPU", "power": 100_000, "processes": ""}.items()
}
PARTS = {
    "0.mig": 2,
    "0.mig0.uuid": "MIG-1111",
    "0.mig0.name": "Test GPU MIG 1g.10gb",
    "0.mig0.memory.total": 10 * GIB,
    "0.mig0.memory.used": GIB,
    "0.mig0.multiprocessors": 30,
    "0.mig0.processes": f"self:{GIB}",
    "0.mig1.uuid": "MIG-2222",
    "0.mig1.memory.total": 30 * GIB,
    "0.mig1.memory.used": 4 * GIB,
    "0.mig1.multiprocessors": 90,
    "0.mig1.processes": f"7:{4 * GIB}",
}
WORK = """
    import os, sys, threading, time
    from provtel import task

    @task
    def work(seconds): time.sleep(seconds)

    @task
    def around(seconds):
        work(seconds)
        work(seconds)

    def sampled():
        # Until the sampler has its second sample nobody knows the power.
        from provtel.telemetry.gpu import windows
        while not windows.windows._taken.ids:
            time.sleep(0.01)
        time.sleep(0.25)

    work(0.01)
    """


class Machine:
    """A stage whose programs find a driver that answers by a script."""

    def __init__(self, stage: Stage, library: Path) -> None:
        """Let the programs find the library."""
        self.stage = stage
        self.script = stage.folder / "script"
        path = f"{library}:{os.environ.get('LD_LIBRARY_PATH', '')}"
        stage.environment |= {
            "LD_LIBRARY_PATH": path,
            "NVML_SCRIPT": str(self.script),
            "PROVTEL_SAMPLER": "100ms",
            "PROVTEL_SAMPLER_GROUPS": "gpu",
        }

    def says(self, *facts: dict[str, Any]) -> None:
        """Let the driver say this from now on."""
        merged = {key: value for each in facts for key, value in each.items()}
        new = self.script.with_name("script.new")
        new.write_text("".join(f"{key} {value}\n" for key, value in merged.items() if value is not None))
        new.replace(self.script)

    def run(self, program: str, *arguments: str) -> tuple[list[Any], list[Record]]:
        """Run a program; return the data points and the records that it left."""
        return ran(self.stage, WORK + program, *arguments)


def ran(stage: Stage, program: str, *arguments: str) -> tuple[list[Any], list[Record]]:
    """Run a program on a stage; return the data points and the records that it left."""
    stage.run(program, *arguments)
    batches: list[Batch] = []
    for journal in find_journals(stage.store):
        drain_journal(journal, batches.append)
    points = sorted((p for batch in batches for p in decode_points(batch)), key=lambda point: point["time"])
    records = [Record(plain) for batch in batches for plain in decode(batch)]
    return points, sorted(records, key=lambda record: record.plain["started_at"])


@pytest.fixture
def machine(stage: Stage, nvml_library: Path) -> Machine:
    """Give a machine with one GPU, which this process and no other uses."""
    made = Machine(stage, nvml_library)
    made.says(ONE)
    return made


def last(points: list[Any], device: str = "GPU-aaaa") -> dict[str, Any]:
    """Return the last value of each metric of a device, by its name and what tells it from others."""
    found = {}
    for point in points:
        attributes = dict(point["attributes"])
        if attributes["hw.id"] == device:
            detail = attributes.get("hw.gpu.task") or attributes.get("provtel.gpu.clock.domain")
            found[point["name"] + (f"/{detail}" if detail else "")] = point["value"]
    return found


def test_every_metric_of_a_gpu(machine: Machine) -> None:
    """Every figure of the driver is there in the unit of its metric, and says which GPU it is of."""
    points, _ = machine.run("sampled()")
    energies = [point["value"] for point in points if point["name"] == "hw.energy"]
    found = last(points)

    assert energies == sorted(energies)
    assert energies[-1] > energies[0]
    assert {name: value for name, value in found.items() if name != "hw.energy"} == {
        "hw.gpu.utilization/general": 0.8,
        "hw.gpu.utilization/encoder": 0.1,
        "hw.gpu.utilization/decoder": 0.2,
        "hw.gpu.memory.usage": 20 * GIB,
        "hw.gpu.memory.limit": 80 * GIB,
        "hw.gpu.memory.utilization": 0.25,
        "hw.temperature": 65,
        "hw.power": 250.0,
        "hw.fan.speed_ratio": 0.4,
        "provtel.gpu.clock/graphics": 1.41e9,
        "provtel.gpu.clock/sm": 1.41e9,
        "provtel.gpu.clock/memory": 1.593e9,
        "provtel.gpu.clock/video": 1.275e9,
        "provtel.process.gpu.memory.usage": 2 * GIB,
        "provtel.process.gpu.utilization": 0.8,
    }
    assert (
        points[0]["attributes"].items()
        >= {
            "hw.id": "GPU-aaaa",
            "hw.name": "Test GPU",
            "hw.type": "gpu",
            "hw.vendor": "NVIDIA",
            "hw.driver_version": "555.42",
        }.items()
    )


def test_energy_of_tasks(machine: Machine) -> None:
    """A task gets the energy of its time; a task around others what they got; two at once share it in halves."""
    _, records = machine.run("""
    sampled()
    work(0.5)
    around(0.3)
    threads = [threading.Thread(target=work, args=(0.5,)) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    """)
    alone, around, first, second, *pair = [record.telemetry for record in records[1:]]

    assert alone["gpu.energy"] == pytest.approx(0.5 * 250, rel=0.25)
    assert around["gpu.energy"] == pytest.approx(0.6 * 250, rel=0.25)
    assert around["gpu.energy"] >= first["gpu.energy"] + second["gpu.energy"] - 0.01
    assert [each["gpu.energy"] for each in pair] == pytest.approx([0.25 * 250] * 2, rel=0.25)
    assert alone["gpu.samples"] >= 3
    assert (alone["gpu.utilization"], alone["gpu.memory"]) == (pytest.approx(0.8), 2 * GIB)
    assert alone["gpu.ids"] == ["GPU-aaaa"]
    assert "gpu.scope" not in alone
    assert "cpu.user" in alone


def test_tasks_of_every_level_and_kind(machine: Machine) -> None:
    """Full telemetry, generators and coroutines get their part beside their other figures; what is off gets none."""
    _, records = machine.run("""
    import asyncio
    sampled()

    @task(telemetry="full")
    def full(): time.sleep(0.15)

    @task(telemetry="off")
    def off(): time.sleep(0.05)

    @task
    def generator():
        for _ in range(2):
            time.sleep(0.15)
            yield 1

    @task
    async def coroutine(): await asyncio.sleep(0.15)

    full()
    off()
    for _ in generator(): time.sleep(0.2)
    asyncio.run(coroutine())
    with task("block"): time.sleep(0.1)
    """)
    full, off, generator, coroutine, block = [record.telemetry for record in records[1:]]

    assert {"context_switches", "gpu.energy"} <= full.keys()
    assert off == {}
    assert generator["gpu.energy"] == pytest.approx(0.3 * 250, rel=0.3)
    assert coroutine["gpu.energy"] > 0
    assert coroutine["cpu.scope"] == "process"
    assert block["gpu.energy"] > 0


def test_what_is_shared_with_other_processes(machine: Machine) -> None:
    """The energy of a GPU is parted by how much of its work was each process's; where nobody tells, by their number."""
    machine.says(ONE, {"0.processes": f"self:{GIB}:20,7:{GIB}:60"})
    _, records = machine.run("sampled(); work(0.4)")
    by_work = records[-1].telemetry
    machine.says(ONE, {"0.processes": f"self:{GIB}:0,7:{GIB}:0,8:{GIB}:0", "0.sm": None})
    _, records = machine.run("sampled(); work(0.4)")
    by_number = records[-1].telemetry
    machine.says(ONE, {"0.processes": f"self:{GIB}:{2**32 - 1},7:{GIB}:101"})
    points, records = machine.run("sampled(); work(0.4)")
    by_nonsense = records[-1].telemetry

    assert by_nonsense["gpu.energy"] == pytest.approx(0.4 * 250 / 2, rel=0.3)
    assert "provtel.process.gpu.utilization" not in last(points)
    assert by_work["gpu.energy"] == pytest.approx(0.4 * 250 / 4, rel=0.3)
    assert by_work["gpu.utilization"] == pytest.approx(0.2)
    assert by_number["gpu.energy"] == pytest.approx(0.4 * 250 / 3, rel=0.3)
    assert by_number["gpu.utilization"] == pytest.approx(0.8)


def test_what_runs_before_the_driver_is_there(machine: Machine) -> None:
    """The first tasks of a process have their part too, although its driver was not loaded when they began."""
    _, records = ran(
        machine.stage,
        """
    import time
    from provtel import task, workflow

    with workflow("w"), task("first"):
        time.sleep(1)
    """,
    )
    workflow, first = [record.telemetry for record in records]

    assert first["gpu.energy"] == pytest.approx(250, rel=0.2)
    assert (first["gpu.ids"], first["gpu.memory"]) == (["GPU-aaaa"], 2 * GIB)
    assert workflow["gpu.energy"] == pytest.approx(first["gpu.energy"], rel=0.1)


def test_process_that_uses_no_gpu(machine: Machine) -> None:
    """Tasks of a process that the driver does not list get nothing of the GPU; its metrics are there all the same."""
    machine.says(ONE, {"0.processes": f"7:{GIB}:60"})
    points, records = machine.run("time.sleep(0.4); work(0.2)")

    assert not [key for record in records for key in record.telemetry if key.startswith("gpu")]
    assert last(points)["hw.power"] == 250.0


def test_driver_that_tells_no_processes(machine: Machine) -> None:
    """Where the driver does not tell processes apart, figures are the device's, and say so."""
    machine.says(ONE, {"0.processes": None})
    _, records = machine.run("sampled(); work(0.3)")
    found = records[-1].telemetry

    assert found["gpu.scope"] == "device"
    assert found["gpu.memory"] == 20 * GIB
    assert found["gpu.energy"] == pytest.approx(0.3 * 250, rel=0.3)


def test_power_where_energy_is_not_counted(machine: Machine) -> None:
    """Without a count of energy the power of each sample stands for the time before it."""
    machine.says(ONE, {"0.energy": None})
    points, records = machine.run("sampled(); work(0.3)")

    assert "hw.energy" not in last(points)
    assert records[-1].telemetry["gpu.energy"] == pytest.approx(0.3 * 250, rel=0.3)


@pytest.mark.parametrize("chosen_parts", [None, "MIG-1111"])
def test_partitioned_gpu(machine: Machine, chosen_parts: str | None) -> None:
    """A MIG device has its own memory and processes, names its GPU, and has a part of its power by its processors."""
    machine.says(ONE, PARTS)
    if chosen_parts is not None:
        machine.stage.environment["CUDA_VISIBLE_DEVICES"] = chosen_parts
    points, records = machine.run("sampled(); work(0.4)")
    mine = last(points, "MIG-1111")
    found = records[-1].telemetry

    assert mine == {
        "hw.gpu.memory.usage": GIB,
        "hw.gpu.memory.limit": 10 * GIB,
        "hw.gpu.memory.utilization": 0.1,
        "provtel.process.gpu.memory.usage": GIB,
    }
    assert {p["attributes"]["hw.parent"] for p in points if p["attributes"]["hw.id"] == "MIG-1111"} == {"GPU-aaaa"}
    assert last(points)["hw.power"] == 250.0
    assert bool(last(points, "MIG-2222")) is (chosen_parts != "MIG-1111")
    assert found["gpu.ids"] == ["MIG-1111"]
    assert found["gpu.energy"] == pytest.approx(0.4 * 250 / 4, rel=0.3)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("2,0,7,1", ["GPU-bbbb2", "GPU-aaaa"]),
        ("GPU-bbbb2", ["GPU-bbbb2"]),
        ("", []),
    ],
)
def test_visible_devices(machine: Machine, text: str, seen: list[str]) -> None:
    """Only the GPUs that the process may use are sampled, named by number or by UUID."""
    machine.says(ONE, TWO_MORE, {"count": 3})
    machine.stage.environment["CUDA_VISIBLE_DEVICES"] = text
    points, _ = machine.run("time.sleep(0.3)")

    assert [*dict.fromkeys(point["attributes"]["hw.id"] for point in points)] == seen


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (None, [(0, None), (1, None), (2, None)]),
        ("0,1", [(0, None), (1, None)]),
        (" 1 , 0 ", [(1, None), (0, None)]),
        ("0,0", []),
        ("3", []),
        ("gpu-A", [(0, None)]),
        ("GPU-", []),
        ("GPU-b", []),
        ("MIG-1", [(0, "MIG-1111")]),
        ("MIG-1111,1", [(0, "MIG-1111"), (1, None)]),
        ("all", []),
        ("NoDevFiles", []),
    ],
)
def test_words_of_the_variable(text: str | None, places: list[tuple[int, str | None]]) -> None:
    """The variable is read as CUDA reads it: in order, up to the first word that names nothing."""
    ids = [["GPU-aaaa", "MIG-1111", "MIG-2222"], ["GPU-bbbb1"], ["GPU-bbbb2"]]

    assert chosen(text, ids) == places


@pytest.mark.parametrize("facts", [{"init": "error:9"}, {"count": 0}])
def test_driver_that_fails_is_silent(machine: Machine, facts: dict[str, Any]) -> None:
    """A driver that does not start, or has no GPU, is no failure: tasks are recorded and nothing is said."""
    machine.says(facts)
    points, records = machine.run("time.sleep(0.2)")

    assert (points, len(records)) == ([], 1)


def test_no_driver_is_silent(stage: Stage) -> None:
    """Without a driver's library nothing is said and nothing is sampled of GPUs."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms", "PROVTEL_SAMPLER_GROUPS": "gpu"}
    stage.environment |= {"CUDA_VISIBLE_DEVICES": "0", "LD_LIBRARY_PATH": str(stage.folder)}
    program = """
        import ctypes, sys, time
        from provtel import task
        CDLL = ctypes.CDLL
        def without(name, *rest, **options):
            if "nvidia" in str(name):
                raise OSError(name)
            return CDLL(name, *rest, **options)
        if len(sys.argv) > 1:
            sys.modules["pynvml"] = None
        else:
            ctypes.CDLL = without
        task(time.sleep)(0.2)
        """
    stage.run(program)
    stage.run(program, "without the module")

    assert len(stage.records()) == 2


def test_gpu_that_gets_lost(machine: Machine) -> None:
    """Figures that the driver refuses are left out from then on; the others, and the tasks, go on."""
    machine.says(ONE, {"0.fan": "error:3", "0.temperature": "error:999"})
    (machine.stage.folder / "lost").write_text("count 1\n0.uuid GPU-aaaa\n0.power error:15\n")
    points, records = machine.run("""
    sampled()
    os.replace("lost", "script")
    time.sleep(0.3)
    work(0.1)
    """)
    powers = [point for point in points if point["name"] == "hw.power"]

    assert not {"hw.fan.speed_ratio", "hw.temperature"} & last(points).keys()
    assert powers[-1]["time"] < records[-1].plain["started_at"]
    assert records[-1].status == "finished"


def test_forked_child_has_its_own_part(machine: Machine) -> None:
    """A forked child that records asks the driver itself, and what its tasks get is its own process's."""
    _, records = machine.run("""
    sampled()
    child = os.fork()
    if child == 0:
        work(0.01)
        sampled()
        work(0.3)
        os._exit(0)
    os.waitpid(child, 0)
    """)

    assert records[-1].plain["pid"] != records[0].plain["pid"]
    assert records[-1].telemetry["gpu.energy"] == pytest.approx(0.3 * 250, rel=0.3)


def test_task_that_ends_in_another_thread_holds_no_part(machine: Machine) -> None:
    """A block that another thread ends has its part, and takes none from then on."""
    _, records = machine.run("""
    sampled()
    block = task("moved").start()
    thread = threading.Thread(target=block.end)
    thread.start()
    thread.join()
    from opentelemetry.context import attach, Context
    attach(Context())
    work(0.4)
    """)

    assert "gpu.energy" in records[-2].telemetry
    assert "cpu.user" not in records[-2].telemetry
    assert records[-1].telemetry["gpu.energy"] == pytest.approx(0.4 * 250, rel=0.3)


def test_own_pids() -> None:
    """This process is known by the id that it has here, and by those that the kernel tells beside it."""
    assert os.getpid() in own_pids()


def test_own_pids_in_a_namespace() -> None:
    """In a namespace of processes that sees the `/proc` of outside, a process is known by its id there too."""
    program = (
        "import os; from provtel.telemetry.gpu.card import own_pids; "
        "print(os.getpid(), os.readlink('/proc/self'), *sorted(own_pids()))"
    )
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system gives nobody a namespace of processes")
    told = subprocess.run([*command, sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    inside, outside, *known = map(int, told.split())

    assert inside == 1
    assert outside > 1
    assert known == [inside, outside]


AMD = {
    "count": 2,
    "0.uuid": "uuid-0",
    "0.name": "Instinct",
    "0.driver": "6.8",
    "0.graphics": 70,
    "0.memory.total": 1000,
    "0.memory.used": 250,
    "0.power": 120,
    "0.energy": 2_000_000,
    "0.fan": 51,
    "0.temperature.0": 40,
    "0.temperature.1": 55,
    "0.temperature.4": 61,
    "0.regulator.graphics": 48,
    "0.clock.0": 1700,
    "0.clock.8": 1100,
    "0.processes": f"self:{2 * GIB},7:99",
    "1.uuid": "uuid-1",
    "1.power": 100,
}
AS_IF_THE_KERNEL_HAD_THE_DRIVER = """
    from pathlib import Path
    exists = Path.exists
    Path.exists = lambda path, **how: str(path) == "/sys/module/amdgpu" or exists(path, **how)
    """


def ran_on_amd(
    stage: Stage, library: Path, script: dict[str, object], program: str = "work(0.2)"
) -> tuple[list[Any], list[Any]]:
    """Run a task where AMD's library answers by a script; return the data points and the records."""
    (stage.folder / "script").write_text("".join(f"{key} {value}\n" for key, value in script.items()))
    stage.environment |= {"PROVTEL_SAMPLER": "100ms", "PROVTEL_SAMPLER_GROUPS": "gpu"}
    stage.environment |= {"PYTHONPATH": str(library), "ROCM_PATH": str(library)}
    stage.environment |= {"AMDSMI_SCRIPT": str(stage.folder / "script")}
    return ran(stage, AS_IF_THE_KERNEL_HAD_THE_DRIVER + WORK + f"sampled()\n    {program}")


@pytest.mark.parametrize("visible", [None, "0"])
def test_amd(stage: Stage, amdsmi_library: Path, visible: str | None) -> None:
    """What AMD's package says is read in the units of the metrics; what it does not know is left out."""
    stage.environment |= {} if visible is None else {"ROCR_VISIBLE_DEVICES": visible}
    points, records = ran_on_amd(stage, amdsmi_library, AMD)
    degrees = {p["attributes"]["hw.sensor_location"]: p["value"] for p in points if p["name"] == "hw.temperature"}

    assert {point["attributes"]["hw.id"] for point in points} == {"uuid-0"} | ({"uuid-1"} if visible is None else set())
    assert degrees == {"edge": 40, "hotspot": 55, "memory_stack_1": 61, "graphics_regulator": 48}
    assert last(points, "uuid-0") == pytest.approx(
        {
            "hw.gpu.utilization/general": 0.7,
            "hw.gpu.memory.usage": 250 * 2**20,
            "hw.gpu.memory.limit": 1000 * 2**20,
            "hw.gpu.memory.utilization": 0.25,
            "hw.energy": 31.0,
            "hw.power": 120,
            "hw.fan.speed_ratio": 0.2,
            "provtel.gpu.clock/graphics": 1.7e9,
            "provtel.gpu.clock/decoder": 1.1e9,
            "provtel.process.gpu.memory.usage": 2 * GIB,
            "hw.temperature": 48,
        }
    )
    assert points[0]["attributes"]["hw.name"] == "Instinct"
    assert points[0]["attributes"]["hw.driver_version"] == "6.8"
    assert records[-1].telemetry["gpu.memory"] == 2 * GIB


def test_amd_is_busy_for_a_while(stage: Stage, amdsmi_library: Path) -> None:
    """What the library cannot tell now is asked for again; what it does not support is not."""
    later = """with open(os.environ["AMDSMI_SCRIPT"], "a") as script:
        script.write("0.power 100\\n0.fan 51\\n")
    work(0.4)"""
    script = {"count": 1, "0.uuid": "uuid-0", "0.power": "error:30", "0.graphics": 70, "0.fan": "error:2"}
    points, _ = ran_on_amd(stage, amdsmi_library, script, later)

    assert last(points, "uuid-0") == {"hw.gpu.utilization/general": 0.7, "hw.power": 100}


def test_amd_says_by_its_greatest_numbers_that_it_does_not_know(stage: Stage, amdsmi_library: Path) -> None:
    """The greatest number of a width is no figure: not of the interface's fields, nor of those of the driver behind."""
    script = {
        "count": 1,
        "0.uuid": "uuid-0",
        "0.graphics": 2**32 - 1,
        "0.media": 101,
        "0.memory.total": 2**32 - 1,
        "0.memory.used": 2**32 - 1,
        "0.power.socket": 2**64 - 1,
        "0.power.current": 2**32 - 1,
        "0.power": 100,
        "0.energy": 2**64 - 1,
        "0.fan": 2**16 - 1,
        "0.temperature.0": 2**16 - 1,
        "0.temperature.1": 2**32 - 1,
        "0.clock.0": 2**16 - 1,
        "0.processes": f"self:{2**64 - 1}",
    }
    points, records = ran_on_amd(stage, amdsmi_library, script)

    assert last(points, "uuid-0") == {"hw.power": 100}
    assert "gpu.memory" not in records[-1].telemetry


def test_real_gpu(stage: Stage, gpu: str) -> None:
    """A real GPU tells name, memory, power and utilisation, each within what is possible."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms", "PROVTEL_SAMPLER_GROUPS": "gpu"}
    stage.run("import time\nfrom provtel import task\ntask(time.sleep)(1.5)\n")
    batches: list[Batch] = []
    for journal in find_journals(stage.store):
        drain_journal(journal, batches.append)
    points = [point for batch in batches for point in decode_points(batch)]
    found: dict[str, Any] = {point["name"]: point for point in points}

    assert found["hw.gpu.memory.limit"]["attributes"]["hw.name"] in gpu
    assert 0 < found["hw.gpu.memory.usage"]["value"] <= found["hw.gpu.memory.limit"]["value"]
    assert 0 <= found["hw.gpu.utilization"]["value"] <= 1
    assert 1 < found["hw.power"]["value"] < 2000
    assert json.dumps(found)
