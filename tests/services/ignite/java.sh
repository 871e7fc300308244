#!/usr/bin/env bash
# Runs a class of this folder with Ignite on its class path, in place of this shell.
# usage: java.sh JAVA_OPTION... CLASS [ARGUMENT...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
class_path=$("$here/fetch.sh")
opens=()
for package in java.base/{jdk.internal.access,jdk.internal.misc,sun.nio.ch,sun.util.calendar,java.io,java.nio,java.net} \
	java.base/sun.reflect.generics.reflectiveObjects java.base/java.{util,lang,math,time,text} \
	java.base/java.util.{concurrent,concurrent.locks,concurrent.atomic} java.base/java.lang.{invoke,reflect} \
	java.management/{com.sun.jmx.mbeanserver,sun.management} jdk.internal.jvmstat/sun.jvmstat.monitor \
	jdk.management/com.sun.management.internal java.sql/java.sql java.desktop/java.awt.font; do
	opens+=("--add-opens=$package=ALL-UNNAMED")
done
exec java "${opens[@]}" -cp "$class_path" -Djava.net.preferIPv4Stack=true -DIGNITE_QUIET=true -DIGNITE_NO_ASCII=true \
	-DIGNITE_UPDATE_NOTIFIER=false "$@"
