#!/bin/sh
# The lab's job hook: it says that it ran, in the job's log.
echo "A job starts on $(uname -n)"
