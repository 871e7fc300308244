// SPDX-License-Identifier: Apache-2.0

// Reads every pipeline file below a folder into the structs that the paper shows and prints what that took as JSON.  It
// stands for the paper's own tool, which was a Go program on gopkg.in/yaml.v2.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gopkg.in/yaml.v2"
)

type artifact struct {
	Name string `yaml:"name"`
	From string `yaml:"from"`
	Path string `yaml:"path"`
}

type task struct {
	Name         string   `yaml:"name"`
	Template     string   `yaml:"template"`
	Dependencies []string `yaml:"dependencies"`
	Arguments    struct {
		Artifacts []artifact `yaml:"artifacts"`
	} `yaml:"arguments"`
}

type volumeMount struct {
	MountPath string `yaml:"mountPath"`
	Name      string `yaml:"name"`
}

type template struct {
	Name string `yaml:"name"`
	Dag  struct {
		Tasks []task `yaml:"tasks"`
	} `yaml:"dag"`
	Container struct {
		Args         []string      `yaml:"args"`
		Image        string        `yaml:"image"`
		VolumeMounts []volumeMount `yaml:"volumeMounts"`
	} `yaml:"container"`
	Outputs struct {
		Artifacts []artifact `yaml:"artifacts"`
	} `yaml:"outputs"`
}

type pipeline struct {
	Metadata struct {
		GenerateName string `yaml:"generateName"`
		Labels       struct {
			SdkVersion string `yaml:"pipelines.kubeflow.org/kfp_sdk_version"`
		} `yaml:"labels"`
	} `yaml:"metadata"`
	Spec struct {
		Entrypoint string     `yaml:"entrypoint"`
		Templates  []template `yaml:"templates"`
	} `yaml:"spec"`
}

type totals struct {
	Files  int     `json:"files"`
	Bytes  int     `json:"bytes"`
	Failed int     `json:"failed"`
	Tasks  int     `json:"tasks"`
	WallS  float64 `json:"wall_s"`
	CPUS   float64 `json:"cpu_s"`
}

func cpu() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func read(path string, sum *totals) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	sum.Files++
	sum.Bytes += len(text)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var one pipeline
		err := decoder.Decode(&one)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			sum.Failed++
			return nil
		}
		for _, t := range one.Spec.Templates {
			sum.Tasks += len(t.Dag.Tasks)
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: paper_parser FOLDER")
		os.Exit(2)
	}
	var sum totals
	cpuBegin, begin := cpu(), time.Now()
	err := filepath.WalkDir(os.Args[1], func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch strings.ToLower(filepath.Ext(path)) {
		case ".yaml", ".yml", ".json":
			return read(path, &sum)
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sum.WallS = time.Since(begin).Seconds()
	sum.CPUS = (cpu() - cpuBegin).Seconds()
	json.NewEncoder(os.Stdout).Encode(sum)
}
