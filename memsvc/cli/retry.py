"""`memsvc retry`: make extractions that failed wait again, once what kept them from being learned is mended."""

from __future__ import annotations

import click

from memsvc.cli.parameters import NameType, name_option, target_option, token_option
from memsvc_client import MemoryClient


@click.command()
@click.argument("users", nargs=-1, type=NameType(), metavar="[USER]...")
@click.option("--all", "everybody", is_flag=True, help="Those of every user of the namespace.")
@name_option("--namespace", help="Whose. Default: default.")
@target_option
@token_option
def retry(users: tuple[str, ...], everybody: bool, namespace: str, target: str, token: str | None) -> None:
    """Make extractions that FAILED wait again, of the users named or of all.

    What waits for its model is learned by itself when the model is back: only what FAILED needs this.
    """
    if everybody == bool(users):
        raise click.UsageError("name users, or --all")
    with MemoryClient(target, namespace=namespace, token=token) as client:
        if everybody:
            count = sum(client.retry_all())
        else:
            count = 0
            for user_id in users:
                while again := client.user(user_id).extractions.retry():
                    count += len(again)
    click.echo(f"{count} extractions wait again")
