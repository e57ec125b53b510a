"""Which PostgreSQL driver: this process's CPU time for a look-up and for a durable insert, the same SQL through each.

Run with DATABASE (host:port/name, trust authentication) and, for the second driver, psycopg installed:
`python benchmarks/drivers.py 127.0.0.1:5432/bench`.
"""

import asyncio
import importlib.util
import statistics
import sys
import time

import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

ROUNDS, PER_ROUND, IN_FLIGHT = 5, 1000, 8
SELECT = text("SELECT id, body FROM bench_driver WHERE id = :id")
INSERT = text("INSERT INTO bench_driver (body) VALUES (:body) RETURNING id")


async def measure(driver: str, where: str) -> None:
    engine = create_async_engine(f"postgresql+{driver}://postgres@{where}", pool_size=IN_FLIGHT)
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE IF EXISTS bench_driver"))
        await connection.execute(text("CREATE TABLE bench_driver (id serial PRIMARY KEY, body text)"))
        await connection.execute(text("INSERT INTO bench_driver (body) SELECT 'x' FROM generate_series(1, 1000)"))
    reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def select(number: int) -> None:
        async with reading.connect() as connection:
            (await connection.execute(SELECT, {"id": number % 1000 + 1})).one()

    async def insert(number: int) -> None:
        async with engine.begin() as connection:
            (await connection.execute(INSERT, {"body": f"row {number}"})).one()

    for name, operation in (("select, autocommit", select), ("insert, commit", insert)):
        spent = []
        for _ in range(ROUNDS):
            before = time.process_time()
            await run(operation)
            spent.append((time.process_time() - before) / PER_ROUND * 1e6)
        spread = f"(spread {min(spent):.0f} to {max(spent):.0f})"
        print(f"{driver:<9}{name:<20}{statistics.median(spent):7.0f} µs CPU   {spread}")
    await engine.dispose()


async def run(operation) -> None:
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with gate:
            await operation(number)

    await asyncio.gather(*(one(number) for number in range(PER_ROUND)))


async def main(where: str) -> None:
    for driver in ("asyncpg", "psycopg"):
        if importlib.util.find_spec(driver) is not None:
            await measure(driver, where)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
