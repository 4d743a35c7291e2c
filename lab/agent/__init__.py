"""What is copied onto the lab's hosts: a runner that looks, works and dies as the real one does, and settings.

`listener` polls and hands jobs to `dispatcher`, which starts a `worker` for each; `process` runs its steps, `masker`
hides its secrets, `used` does its actions, `expressions` and `filecommands` read what its file and its steps say,
`told` and `diaglog` write the logs, `wire` talks to the stand-in; `service` is the wrapper between systemd and
the listener, `update` puts a new version in place. On a host they stand in `bin/lab/agent`, and `entry` is the file that
each program executes. Only the standard library: the hosts have no more. The lab itself imports `expressions`, which a
stand-in reads too, and for the canary's log `told` and `masker`.
"""
