"""`edge upload`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FOLDER, configured, settings_of
from edge.commands.progress import progress_bar
from edge.errors import ConfigError


@click.command(epilog="Example: edge upload --to nas:captures")
@configured
@click.option("--to", "remote", metavar="REMOTE:PATH",
              help="Default: upload.remote of the configuration.")  # fmt: skip
@click.option("--captures", type=FOLDER, metavar="DIR",
              help="Default: capture.directory of the configuration.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only list the captures that wait.")
def upload(
    config: Path | None,
    assignments: tuple[str, ...],
    remote: str | None,
    captures: Path | None,
    dry_run: bool,
) -> None:
    """Copy finished captures to a server or a NAS, oldest first.

    rclone copies them; `rclone config` stores the address and the password. Each capture that is
    confirmed at the other place is marked here and not copied again. Nothing is deleted.
    """
    from edge.export.upload import upload as upload_all
    from edge.export.upload import waiting

    settings = settings_of(config, assignments, upload__remote=remote)
    root = captures or Path(settings.capture.directory)
    if dry_run:
        for capture in waiting(root)[0]:
            click.echo(capture.sidecar.relative_to(root).with_suffix(""))
        return
    if not settings.upload.remote:
        raise ConfigError(
            "no place to upload to: set upload.remote, such as nas:captures, or give --to; "
            "`rclone config` adds a place"
        )
    with progress_bar("captures") as update:
        report = upload_all(root, settings.upload.remote, update)
    click.echo(f"{report.uploaded} captures uploaded to {settings.upload.remote}")
    if report.unfinished:
        click.echo(
            f"{report.unfinished} captures are not finished or lack a file that they list",
            err=True,
        )
