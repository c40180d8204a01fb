package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/aimarket/aimarket/node"
)

type configCmd struct {
	settings `embed:""`
}

// Help is shown by aimarket config --help.
func (configCmd) Help() string {
	return `Takes the flags of serve and shows what serve would run with: a flag wins over the environment,
that over the settings file (--config), that over the default. Secrets are shown as set or not.
Exit 2 if serve would refuse to run with them.`
}

type setting struct {
	Name   string `json:"name"`
	Env    string `json:"env"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
	Help   string `json:"help"`
}

// Run prints every setting.
func (c configCmd) Run(e *env, ctx *kong.Context) error {
	cfg, err := c.config()
	if err != nil {
		return unreadable(err)
	}
	var all []setting
	for _, f := range ctx.Flags() {
		if len(f.Envs) == 0 || f.Group == nil {
			continue
		}
		v := f.Target
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		s := setting{Name: f.Name, Env: strings.Join(f.Envs, ", "), Value: v.Interface(), Origin: e.origin[f.Name], Help: f.Help}
		if secretSettings[f.Name] {
			s.Value = "not set"
			if !v.IsZero() {
				s.Value = "set (hidden)"
			}
		}
		all = append(all, s)
	}
	if e.json {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(all); err != nil {
			return err
		}
		return unserveable(cfg)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tFROM\tENVIRONMENT")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%v\t%s\t%s\n", s.Name, s.Value, s.Origin, s.Env)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return unserveable(cfg)
}

// unserveable says, after all values are shown, why serve would refuse them.
func unserveable(c node.Config) error {
	if err := c.Validate(); err != nil {
		return unreadable(err)
	}
	return nil
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(e *env) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(map[string]string{"version": version, "protocol": "v2"})
	}
	_, err := fmt.Fprintln(e.out, "aimarket", version)
	return err
}
