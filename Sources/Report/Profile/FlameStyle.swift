/// How flame graphs look, in light and in dark.
enum FlameStyle {
    private static func fills(_ colours: [(String, [String])], first: Int) -> String {
        colours.map { letter, shades in shades.enumerated().map { ".\(letter)\($0 + first){--fill:\($1)}" }.joined() }.joined()
    }

    private static let kindsLight = fills(
        [
            ("k", ["#f6b26b", "#f2a659", "#f9c083", "#efae72"]), ("s", ["#8fc1e8", "#7fb6e2", "#a3cdee", "#97bfdf"]), ("c", ["#93d1a8", "#84c79b", "#a6dab7", "#9acbaa"]),
            ("o", ["#c9ccd1", "#bec2c8", "#d3d6da", "#c4c8ce"]),
        ], first: 0)
    private static let kindsDark = fills(
        [
            ("k", ["#8a5316", "#7c4a12", "#965d1f", "#83501c"]), ("s", ["#1f5580", "#1a4b73", "#27618f", "#245374"]), ("c", ["#20613a", "#1a5631", "#2a6e45", "#255a3a"]),
            ("o", ["#4a4f57", "#41464d", "#545a62", "#484c53"]),
        ], first: 0)
    private static let changesLight = fills(
        [
            ("r", ["#fbe3dc", "#f8c7b8", "#f2a18a", "#e9785c", "#dd5136"]), ("b", ["#dde9f7", "#bcd5f1", "#93bbe8", "#659cdb", "#4481cf"]),
        ], first: 1) + ".z0{--fill:#ececec}"
    private static let changesDark = fills(
        [
            ("r", ["#43302c", "#63382e", "#84402f", "#a4462f", "#c24a2f"]), ("b", ["#2b3542", "#2c4563", "#2c5584", "#2c66a6", "#2f76c4"]),
        ], first: 1) + ".z0{--fill:#393d43}"

    static let text = """
        svg{--paper:#fff;--ink:#1b1f24;--quiet:#5b6470;--rule:#c9d0d8;--mark:#c3279b;background:var(--paper);color-scheme:light dark;\
        font-family:system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
        \(kindsLight)\(changesLight)
        @media (prefers-color-scheme:dark){svg{--paper:#14171b;--ink:#e7eaee;--quiet:#a3abb6;--rule:#3a424c;--mark:#ff7ad9}\(kindsDark)\(changesDark)}
        .paper{fill:var(--paper)}rect{fill:var(--fill)}text{fill:var(--ink);font-size:12px}.h{font-size:18px;font-weight:650}.q{fill:var(--quiet)}
        .f{cursor:pointer}.f text{font:11px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,"Liberation Mono",monospace;pointer-events:none}
        .f:hover rect,.f.at rect{stroke:var(--ink);stroke-width:1}.f.above{opacity:.55}.f.found rect{fill:var(--mark)}.f.found text{fill:var(--paper)}
        #frames:focus{outline:none}
        .button{cursor:pointer}.button rect{fill:var(--paper);stroke:var(--rule)}.button:hover rect,.button:focus rect{stroke:var(--ink)}.button:focus{outline:none}
        input{box-sizing:border-box;width:100%;height:26px;padding:2px 8px;border:1px solid var(--rule);border-radius:4px;background:var(--paper);color:var(--ink);font:12px system-ui,sans-serif}
        """
}
