// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// machine is a line about where this runs.
func machine() string {
	cpu := field("/proc/cpuinfo", "model name")
	if cpu == "" {
		cpu = "unknown processor"
	}
	text := fmt.Sprintf("%s, %d cores", cpu, runtime.NumCPU())
	var kb int64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kb); err == nil {
		text += fmt.Sprintf(", %.0f GB memory", float64(kb)*1024/1e9)
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return text + ", " + runtime.GOOS
	}
	return text + ", " + runtime.GOOS + " " + strings.TrimSpace(string(kernel))
}

// field is the value of the first "name : value" line of a file.
func field(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// versions are the programs of the rows and how they name their version.
func (b *bench) versions(ctx context.Context, rows []*row) []string {
	ask := map[string][]string{
		"crane": {"version"}, "docker": {"version", "--format", "server {{.Server.Version}}"},
	}
	lines := []string{"go " + strings.TrimPrefix(runtime.Version(), "go")}
	seen := map[string]bool{}
	for _, r := range rows {
		for _, program := range r.needs {
			if seen[program] || r.missing != "" {
				continue
			}
			seen[program] = true
			args := ask[program]
			if args == nil {
				args = []string{"--version"}
			}
			lines = append(lines, program+" "+b.version(ctx, program, args))
		}
	}
	if seen["docker"] {
		lines = append(lines, "docker storage "+b.version(ctx, "docker", []string{"info", "--format", "{{.Driver}}"}))
	}
	return lines
}

// version is the first line that a program says about itself.
func (b *bench) version(ctx context.Context, program string, args []string) string {
	at, err := b.look(program)
	if err != nil {
		return "missing"
	}
	out, err := exec.CommandContext(ctx, at, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	line, _, _ = strings.Cut(line, " (lib") // and what it was built with
	for _, prefix := range []string{program, filepath.Base(program) + " version", "version"} {
		line = strings.TrimSpace(strings.TrimPrefix(line, prefix))
	}
	return line
}
