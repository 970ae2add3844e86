/// How the page looks: light and dark as the reader's system has it, on a screen of any width and on paper.
enum Stylesheet {
    static var text: String {
        """
        :root{color-scheme:light dark;\(Palette.declarations(isDark: false))}
        @media screen and (prefers-color-scheme:dark){:root{\(Palette.declarations(isDark: true))}}
        \(page)
        \(tables)
        \(Palette.pictureRules)
        \(narrow)
        \(print)
        """
    }

    private static let page = """
        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
        body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
        header,main,footer{max-width:1180px;margin:0 auto;padding:0 28px}
        header{padding-top:44px}
        .product{margin:0;color:var(--quiet);font-size:13px;letter-spacing:.08em;text-transform:uppercase}
        h1{margin:6px 0 10px;font-size:34px;line-height:1.15;letter-spacing:-.02em;font-weight:700;overflow-wrap:anywhere}
        h2{margin:0 0 6px;font-size:23px;line-height:1.25;letter-spacing:-.01em;overflow-wrap:anywhere}
        h3{margin:0 0 8px;font-size:15px;line-height:1.35;font-weight:650;overflow-wrap:anywhere}
        p{margin:0 0 10px;max-width:78ch}.machine{max-width:none}
        .machine,.lead,.note{color:var(--quiet)}
        .lead{margin-bottom:18px}.note{font-size:13px;margin:8px 0 0}
        nav{position:sticky;top:0;z-index:2;margin-top:22px;background:var(--paper);border-bottom:1px solid var(--rule);overflow-x:auto}
        nav ol{display:flex;gap:22px;max-width:1180px;margin:0 auto;padding:0 28px;list-style:none;white-space:nowrap}
        nav a{display:block;padding:11px 0;color:var(--quiet);font-size:14px;text-decoration:none}
        nav a:hover,nav a:focus{color:var(--ink);text-decoration:underline;text-underline-offset:4px}
        section{padding:38px 0 30px;scroll-margin-top:44px}
        section+section{border-top:1px solid var(--rule)}
        .panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));gap:38px 44px;align-items:start}
        .panel{min-width:0;margin:0}.panel.wide{grid-column:1/-1}
        .picture{overflow-x:auto;margin-bottom:6px}
        svg{display:block;width:100%;max-width:520px;height:auto;overflow:visible}
        .verdict{display:flex;align-items:baseline;gap:12px;margin:0 0 14px;font-size:21px;font-weight:650;max-width:none}
        .badge{display:inline-block;padding:1px 9px;border-radius:4px;border:1.5px solid currentColor;font-size:13px;font-weight:700;letter-spacing:.02em;white-space:nowrap}
        .ok{color:var(--good)}.no{color:var(--bad)}.so{color:var(--quiet)}
        pre{margin:0 0 12px;padding:10px 14px;border:1px solid var(--rule);border-radius:6px;overflow-x:auto;font:13px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
        ul.reasons{margin:0 0 14px;padding-left:20px}ul.reasons li{margin-bottom:4px;overflow-wrap:anywhere}
        footer{padding-top:28px;padding-bottom:44px;color:var(--quiet);font-size:13px}
        """

    private static let tables = """
        .box{overflow-x:auto;margin:0 0 12px}
        table{border-collapse:collapse;font-size:13px;line-height:1.4;font-variant-numeric:tabular-nums}
        caption{padding:4px 0;text-align:left;color:var(--quiet);font-size:13px}
        th,td{padding:4px 12px 4px 0;border-bottom:1px solid var(--grid);text-align:right;vertical-align:baseline;white-space:nowrap}
        thead th{border-bottom-color:var(--rule);color:var(--quiet);font-weight:500;white-space:normal;vertical-align:bottom;max-width:17ch}
        th.w,td.w{text-align:left}tbody th{text-align:left;font-weight:550}td.say{white-space:normal;min-width:19ch}
        th:last-child,td:last-child{padding-right:2px}
        td.a{color:var(--quiet)}tr.sum td,tr.sum th{border-top:1px solid var(--quiet);font-weight:650}
        .panel table{width:100%;font-size:12.5px}.panel th,.panel td{padding-right:9px}
        @media screen{.box.long{max-height:560px;overflow-y:auto}}
        """

    private static let narrow = """
        @media (max-width:700px){
        header,main,footer{padding-left:16px;padding-right:16px}header{padding-top:26px}
        nav ol{padding:0 16px;gap:18px}h1{font-size:26px}h2{font-size:20px}.verdict{font-size:18px;flex-wrap:wrap}
        section{padding-top:28px}.panels{gap:28px}
        }
        """

    private static let print = """
        @media print{
        @page{margin:14mm}
        body{font-size:10.5pt}header,main,footer{max-width:none;padding-left:0;padding-right:0}header{padding-top:0}
        nav{display:none}section{padding:16px 0 4px}h2,h3,.lead{break-after:avoid}
        .panels{display:block}.panel{margin-bottom:18px}.picture,tr,pre{break-inside:avoid}.picture,.box,pre{overflow:visible}
        svg{max-width:420px;print-color-adjust:exact;-webkit-print-color-adjust:exact}svg[style]{min-width:0!important;max-width:100%!important}
        table{font-size:8pt;max-width:100%}th,td.w{white-space:normal}th,td{padding-right:7px}
        .panel table{font-size:7.5pt}.panel.wide table{font-size:6pt}.panel th,.panel td{padding-right:5px}
        pre{white-space:pre-wrap;overflow-wrap:anywhere}
        }
        """
}
