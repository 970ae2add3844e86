import Foundation
import Gauge
import Glibc
import Load
import Report

/// `--probes`: what the engine's USDT probes count in the window.
///
/// By bpftrace and not by `perf record`: it counts inside the kernel, where perf writes an event of some hundred bytes each time a probe fires, which is a million times a
/// second. And it needs no cutting by time: the load tells by two probes when a thread's own counters are read, and what is counted between the two is what the record counts.
struct ProbesPass: ProfilePass {
    let name = "probes"
    /// Whose probes are watched.
    var binary = Runner.program
    private static let (program, answers) = ("probes.bt", "probes.json")

    func check() throws {
        guard geteuid() == 0 else { throw unavailable("bpftrace needs root", "run it with sudo") }
        guard let tracer = Programs.find("bpftrace") else { throw unavailable("bpftrace is not installed", "apt-get install bpftrace") }
        // Tried, as kernels and containers forbid it in many ways.
        if case .fails(let reason) = InstrumentTrials.attempt([tracer, "-e", "BEGIN { exit(); } usdt:\(binary):streamgauge:flush { @ = 1; }"]).trial {
            throw unavailable("bpftrace cannot watch a probe: \(reason)", "a kernel with CONFIG_UPROBE_EVENTS and CONFIG_BPF_EVENTS; in a container: --privileged")
        }
    }

    private func unavailable(_ reason: String, _ remedy: String) -> ProfileError { .unavailable(pass: name, reason: reason, remedy: remedy) }

    func wrapped(_ command: [String], in folder: String) -> [String] { ["/bin/sh", "-c", Self.wrapper, "sh", folder, Self.source(binary)] + command }

    /// Starts the run when bpftrace watches, and ends bpftrace behind it.
    private static let wrapper = """
        folder=$1; printf '%s' "$2" >"$folder/\(program)"; shift 2
        rm -f "$folder/pipe"; mkfifo "$folder/pipe" || exit 1
        BPFTRACE_MAP_KEYS_MAX=65536 bpftrace -f json -B line "$folder/\(program)" >"$folder/pipe" 2>"$folder/bpftrace.txt" &
        tracer=$!
        exec 3<"$folder/pipe"; rm "$folder/pipe"
        watches=
        while IFS= read -r line <&3; do case $line in *watching*) watches=yes; break;; esac; done
        [ -n "$watches" ] || { cat "$folder/bpftrace.txt" >&2; exit 1; }
        "$@" 3<&-; status=$?
        kill -INT "$tracer"
        cat <&3 >"$folder/\(answers)"
        wait "$tracer" || status=1
        exit "$status"
        """

    func evaluate(_ run: ProfiledRun) async throws -> ProfileSection {
        let path = run.path(Self.answers)
        let counts: ProbeCounts
        do {
            let processes = [run.marks.clientID] + (run.marks.serverID.map { [$0] } ?? [])
            counts = try ProbeCounts(String(decoding: Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self), processes: Set(processes))
        } catch {
            throw ProfileError.unreadable(path: path, detail: "\(error)")
        }
        guard !counts.isEmpty else {
            throw ProfileError.runFailed(pass: name, detail: "no probe fired in the window: runs against a node (--target) and drivers have none that are counted")
        }
        let table = ProbeTables(counts, run.record.figures).markdown
        do {
            try Data(table.utf8).write(to: URL(fileURLWithPath: run.path("probes.md")))
        } catch {
            throw ProfileError.unreadable(path: run.path("probes.md"), detail: "it cannot be written: \(error)")
        }
        let files = [
            ("probes.md", "this text"), (Self.answers, "what bpftrace counted, an object a line"), (Self.program, "the program it ran"), ("record.json", "the run's record"),
        ]
        return ProfileSection(
            title: "Probes",
            text: "What the engine's probes counted in the window. Each costs a microsecond while it is watched, so times and rates are not those of a run without.\n\n" + table,
            files: files)
    }
}

extension ProbesPass {
    /// The program for bpftrace. A thread is watched from the moment that its counters are read for the window's begin to that for its end; keys begin with process and side.
    static func source(_ binary: String) -> String {
        """
        BEGIN { printf("watching\\n"); }
        usdt:BINARY:streamgauge:measuring_begun { @in[tid] = arg0 + 1; }
        usdt:BINARY:streamgauge:measuring_ended { delete(@in[tid]); }
        usdt:BINARY:streamgauge:loop_turn_done /@in[tid]/ { @n_loop_turn_done[pid, @in[tid]] = count(); @sum_loop_turn_done[pid, @in[tid]] = sum(arg1); }
        usdt:BINARY:streamgauge:read /@in[tid]/ {
            @n_read[pid, @in[tid]] = count();
            if ((int64)arg1 > 0) { @sum_read[pid, @in[tid]] = sum(arg1); }
        }
        usdt:BINARY:streamgauge:write /@in[tid]/ {
            @n_write[pid, @in[tid]] = count();
            if ((int64)arg1 > 0) { @sum_write[pid, @in[tid]] = sum(arg1); }
        }
        usdt:BINARY:streamgauge:frame_decoded /@in[tid]/ {
            @n_frame_decoded[pid, @in[tid]] = count();
            if (arg2 == 0) { @n_data_frame_decoded[pid, @in[tid]] = count(); @sum_data_frame_decoded[pid, @in[tid]] = sum(arg3); }
        }
        usdt:BINARY:streamgauge:window_update_sent /@in[tid]/ { @n_window_update_sent[pid, @in[tid]] = count(); @sum_window_update_sent[pid, @in[tid]] = sum(arg2); }
        usdt:BINARY:streamgauge:stream_opened /@in[tid]/ { @n_stream_opened[pid, @in[tid]] = count(); }
        usdt:BINARY:streamgauge:stream_closed /@in[tid]/ { @n_stream_closed[pid, @in[tid]] = count(); }
        usdt:BINARY:streamgauge:record_sealed /@in[tid]/ { @n_record_sealed[pid, @in[tid]] = count(); @sum_record_sealed[pid, @in[tid]] = sum(arg1); }
        usdt:BINARY:streamgauge:record_opened /@in[tid]/ { @n_record_opened[pid, @in[tid]] = count(); @sum_record_opened[pid, @in[tid]] = sum(arg1); }
        usdt:BINARY:streamgauge:window_stalled /@in[tid]/ { @n_window_stalled[pid, @in[tid]] = count(); @stalled[pid, arg0, arg1] = nsecs; }
        usdt:BINARY:streamgauge:window_opened /@in[tid] && @stalled[pid, arg0, arg1]/ {
            @stalls_by_stream[pid, @in[tid], arg0, arg1] = count();
            @stalled_ns_by_stream[pid, @in[tid], arg0, arg1] = sum(nsecs - @stalled[pid, arg0, arg1]);
            delete(@stalled[pid, arg0, arg1]);
        }

        """.replacing("BINARY", with: binary) + queueToWrite.replacing("BINARY", with: binary)
    }

    /// The part that follows frames from the application's send to their write. One message in 16 is followed; `left` are the bytes that must be framed before it is.
    private static let queueToWrite = """
        usdt:BINARY:streamgauge:frame_queued /@in[tid]/ {
            @n_frame_queued[pid, @in[tid]] = count();
            @sum_frame_queued[pid, @in[tid]] = sum(arg2);
            @messages[tid]++;
            if (@messages[tid] % 16 == 0 && @since[pid, arg0, arg1] == 0) {
                @since[pid, arg0, arg1] = nsecs;
                @left[pid, arg0, arg1] = (int64)arg3;
            }
        }
        usdt:BINARY:streamgauge:frame_sent /@in[tid]/ {
            @n_frame_sent[pid, @in[tid]] = count();
            if (arg2 == 0) {
                @n_data_frame_sent[pid, @in[tid]] = count();
                @sum_data_frame_sent[pid, @in[tid]] = sum(arg3);
                @unwritten[pid, arg0]++;
                $left = @left[pid, arg0, arg1];
                if (@since[pid, arg0, arg1] != 0 && $left > 0) {
                    $left = $left - (int64)arg3;
                    @left[pid, arg0, arg1] = $left;
                    if ($left <= 0) {
                        $place = @count[pid, arg0];
                        if ($place < 16) {
                            @framed[pid, arg0, $place] = arg1;
                            @count[pid, arg0] = $place + 1;
                        } else {
                            delete(@since[pid, arg0, arg1]);
                        }
                    }
                }
            }
        }
        usdt:BINARY:streamgauge:frame_taken_back /@in[tid]/ {
            @n_frame_taken_back[pid, @in[tid]] = count();
            if (arg2 == 0) {
                @n_data_frame_taken_back[pid, @in[tid]] = count();
                @sum_data_frame_taken_back[pid, @in[tid]] = sum(arg3);
                @unwritten[pid, arg0]--;
                if (@since[pid, arg0, arg1] != 0) { @left[pid, arg0, arg1] += (int64)arg3; }
            }
        }
        usdt:BINARY:streamgauge:flush /@in[tid] && arg2 > 0/ {
            @n_flush[pid, @in[tid]] = count();
            @sum_flush[pid, @in[tid]] = sum(arg2);
            @frames_per_write[pid, @in[tid]] = hist(@unwritten[pid, arg0]);
            @bytes_per_write[pid, @in[tid]] = hist(arg2);
            @unwritten[pid, arg0] = 0;
        }
        usdt:BINARY:streamgauge:flush /@in[tid] && @count[pid, arg0] > 0/ {
            $i = (int64)0;
            while ($i < 16) {
                if ($i < @count[pid, arg0]) {
                    $stream = @framed[pid, arg0, $i];
                    if (@left[pid, arg0, $stream] <= 0 && @since[pid, arg0, $stream] != 0) {
                        @queue_to_write_us[pid, @in[tid]] = hist((nsecs - @since[pid, arg0, $stream]) / 1000);
                        delete(@since[pid, arg0, $stream]);
                    }
                }
                $i++;
            }
            @count[pid, arg0] = 0;
        }
        END { clear(@in); clear(@stalled); clear(@messages); clear(@since); clear(@left); clear(@count); clear(@framed); clear(@unwritten); }

        """
}
