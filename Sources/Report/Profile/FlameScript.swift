/// What makes a flame graph answer to clicks and keys.
enum FlameScript {
    static let text = #"""
        (function () {
          "use strict";
          const svg = document.documentElement, by = id => document.getElementById(id);
          const total = +svg.dataset.total, unit = svg.dataset.unit, margin = +svg.dataset.margin;
          const room = +svg.dataset.width - 2 * margin, letter = +svg.dataset.letter;
          const frames = Array.from(document.querySelectorAll("#frames > .f"), g => ({
            g, rect: g.querySelector("rect"), text: g.querySelector("text"), name: g.dataset.n,
            start: +g.dataset.s, weight: +g.dataset.w, depth: +g.dataset.d, about: g.querySelector("title").textContent
          }));
          if (!frames.length) return;
          const root = frames.reduce((low, f) => f.depth < low.depth ? f : low);
          let zoomed = root, at = null;
          const group = n => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
          const percent = w => (total ? 100 * w / total : 0).toFixed(2) + " %";
          const holds = (outer, inner) => outer.depth <= inner.depth && outer.start <= inner.start
            && inner.start + inner.weight <= outer.start + outer.weight;

          function place(f) {
            const scale = room / (zoomed.weight || 1);
            const above = f.depth < zoomed.depth && holds(f, zoomed);
            const shown = above || holds(zoomed, f);
            f.g.style.display = shown ? "" : "none";
            f.g.classList.toggle("above", above);
            if (!shown) return;
            const x = above ? margin : margin + (f.start - zoomed.start) * scale;
            const width = above ? room : f.weight * scale;
            f.rect.setAttribute("x", x.toFixed(2));
            f.rect.setAttribute("width", Math.max(width - 0.3, 0.1).toFixed(2));
            const fits = Math.floor((width - 6) / letter);
            f.text.setAttribute("x", (x + 3).toFixed(2));
            f.text.textContent = f.name.length <= fits ? f.name : fits < 3 ? "" : f.name.slice(0, fits - 1) + "\u2026";
          }

          function zoom(f) {
            zoomed = f;
            frames.forEach(place);
            by("reset").setAttribute("visibility", f === root ? "hidden" : "visible");
          }

          function tell(f) { by("about").textContent = f ? f.about : ""; }

          function pattern(text) {
            const slashed = /^\/(.+)\/([i]*)$/.exec(text);
            try {
              if (slashed) return new RegExp(slashed[1], slashed[2]);
            } catch (error) {
              return null;
            }
            return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), text === text.toLowerCase() ? "i" : "");
          }

          // What is found within something that is found counts once.
          function search(text) {
            const wanted = text ? pattern(text) : null;
            const found = [];
            frames.forEach(f => {
              const hit = wanted !== null && f !== root && wanted.test(f.name);
              f.g.classList.toggle("found", hit);
              if (hit) found.push(f);
            });
            found.sort((a, b) => a.start - b.start || b.weight - a.weight);
            let end = 0, sum = 0;
            found.forEach(f => {
              if (f.start >= end) { sum += f.weight; end = f.start + f.weight; }
            });
            by("matched").textContent = !text ? "" : wanted === null ? "not a pattern" : "matched: " + percent(sum) + " (" + group(sum) + " " + unit + ")";
          }

          function move(f) {
            if (!f) return;
            if (at) at.g.classList.remove("at");
            at = f;
            f.g.classList.add("at");
            tell(f);
          }

          function visible(test) {
            return frames.filter(f => f.g.style.display !== "none" && test(f)).sort((a, b) => a.start - b.start);
          }

          function walk(key) {
            const here = at || zoomed;
            if (key === "ArrowUp") move(visible(f => f.depth === here.depth + 1 && holds(here, f)).sort((a, b) => b.weight - a.weight)[0]);
            if (key === "ArrowDown") move(visible(f => f.depth === here.depth - 1 && holds(f, here))[0]);
            if (key === "ArrowRight") move(visible(f => f.depth === here.depth && f.start > here.start)[0]);
            if (key === "ArrowLeft") move(visible(f => f.depth === here.depth && f.start < here.start).pop());
          }

          const frameOf = target => {
            const g = target.closest && target.closest("#frames > .f");
            return g ? frames.find(f => f.g === g) : null;
          };
          by("frames").addEventListener("click", event => {
            const f = frameOf(event.target);
            if (f) { zoom(f); move(f); }
          });
          by("frames").addEventListener("mouseover", event => tell(frameOf(event.target)));
          by("frames").addEventListener("mouseout", () => tell(at));
          by("reset").addEventListener("click", () => zoom(root));
          const input = by("search");
          input.addEventListener("input", () => search(input.value));
          document.addEventListener("keydown", event => {
            const typing = event.target === input;
            if (((event.ctrlKey || event.metaKey) && event.key === "f" || event.key === "F3") && !typing) {
              event.preventDefault();
              input.focus();
              input.select();
            } else if (event.key === "Escape") {
              if (input.value) {
                input.value = "";
                search("");
              } else {
                zoom(root);
              }
              by("frames").focus();
            } else if (!typing && event.key.startsWith("Arrow")) {
              event.preventDefault();
              walk(event.key);
            } else if (!typing && event.key === "Enter") {
              if (event.target === by("reset") || event.target.closest && event.target.closest("#reset")) zoom(root);
              else if (at) zoom(at);
            }
          });
        })();
        """#
}
