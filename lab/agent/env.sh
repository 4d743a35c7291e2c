#!/bin/bash
# Keeps of the shell that configures a runner what its service will not have: PATH in .path, and these variables in .env,
# each once. Sourced by config.sh, in the runner's directory.
touch .env
for name in LANG JAVA_HOME ANT_HOME M2_HOME ANDROID_HOME ANDROID_SDK_ROOT GRADLE_HOME NVM_BIN NVM_PATH LD_LIBRARY_PATH PERL5LIB; do
    if [ -n "${!name}" ] && ! grep -q "^$name=" .env; then
        echo "$name=${!name}" >>.env
    fi
done
echo "$PATH" >.path
