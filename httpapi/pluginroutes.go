package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/aimarket/aimarket/routing"
)

// routed is what a plugin with routes of its own implements.
type routed interface {
	RegisterRoutes(func(method, path string, h http.HandlerFunc))
}

// mountPlugins mounts each loaded plugin's routes at /p/{name} and completes what
// GET /plugins says of its hooks: the router package cannot see this one.
func (s *Server) mountPlugins(router chi.Router) error {
	s.plugins = s.cfg.Router.Plugins()
	for _, p := range s.cfg.Router.Loaded() {
		owner, ok := p.(routed)
		if !ok {
			continue
		}
		name := p.Info().Name
		var fault error
		owner.RegisterRoutes(func(method, path string, h http.HandlerFunc) {
			switch {
			case h == nil || !strings.HasPrefix(path, "/") || method != strings.ToUpper(method) || method == "":
				fault = fmt.Errorf("httpapi: plugin %s registers an unusable route %q %q", name, method, path)
				return
			}
			pattern := prefix + "/p/" + name + path
			stats := s.metrics.route(pattern)
			router.Method(method, pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if x, ok := w.(*exchange); ok {
					x.route = stats
				}
				h(w, r)
			}))
		})
		if fault != nil {
			return fault
		}
		for i := range s.plugins {
			if s.plugins[i].Name == name && !contains(s.plugins[i].Hooks, "register_routes") {
				s.plugins[i].Hooks = append([]string{"register_routes"}, s.plugins[i].Hooks...)
			}
		}
	}
	return nil
}

// pluginInfos is the state of the plugins now, with this package's hook added.
func (s *Server) pluginInfos() []routing.PluginInfo {
	now := s.cfg.Router.Plugins()
	for i := range now {
		for _, p := range s.plugins {
			if p.Name == now[i].Name {
				now[i].Hooks = p.Hooks
			}
		}
	}
	return now
}

func pluginMembers(b jsonBody, p routing.PluginInfo) jsonBody {
	b = b.str("name", p.Name).str("version", p.Version).str("description", p.Description).
		str("homepage", p.Homepage).str("category", p.Category).strings("hooks", p.Hooks)
	if p.Status != "" {
		b = b.str("status", p.Status)
	}
	return b
}

func (s *Server) listPlugins(w http.ResponseWriter, r *http.Request, rt *route) {
	all := s.pluginInfos()
	b := newBody(256 + 320*len(all)).openList("plugins")
	for _, p := range all {
		b = pluginMembers(b.element(), p).close()
	}
	send(w, http.StatusOK, b.closeList().integer("count", int64(len(all))).
		str("discovery", "Plugins are compiled into the hub; AIMARKET_PLUGIN_WHITELIST chooses among them").
		str("registry_url", s.cfg.HubURL+prefix+"/plugins/registry").end())
}

// pluginRegistry is empty: this hub keeps no list of plugins that it does not run.
func (s *Server) pluginRegistry(w http.ResponseWriter, r *http.Request, rt *route) {
	send(w, http.StatusOK, newBody(160).str("registry_version", "1.0").raw("plugins", "[]").
		str("note", "This hub publishes no registry; GET "+prefix+"/plugins lists what it runs.").end())
}

func (s *Server) showPlugin(w http.ResponseWriter, r *http.Request, rt *route) {
	name := pathValue(r, "name")
	for _, p := range s.pluginInfos() {
		if p.Name == name {
			send(w, http.StatusOK, pluginMembers(newBody(320), p).end())
			return
		}
	}
	s.fail(w, r, refuse(http.StatusNotFound, "plugin_not_loaded", "Plugin '"+clip(name, 80)+"' not loaded"))
}
