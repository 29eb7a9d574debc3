// The crowd's page: one socket that says what changed, three things to do. Written for old phones too.
(function () {
  "use strict";

  var byId = function (id) { return document.getElementById(id); };
  var form = byId("say"), text = byId("text"), author = byId("author"), send = byId("send"), said = byId("said");
  var state = null, since = 0, socket = null, tries = 0, poll = 0, retry = 0, heard = 0, busyUntil = 0;

  function el(name, className, words) {
    var made = document.createElement(name);
    if (className) { made.className = className; }
    // Only ever as text: what guests write is never read as anything else.
    if (words !== undefined) { made.textContent = words; }
    return made;
  }

  function ordinal(n) {
    var tens = n % 100, ones = n % 10;
    if (tens > 10 && tens < 14) { return n + "th"; }
    return n + (ones === 1 ? "st" : ones === 2 ? "nd" : ones === 3 ? "rd" : "th");
  }

  function about(seconds) {
    if (seconds < 15) { return "in a few seconds"; }
    if (seconds < 50) { return "in about half a minute"; }
    var minutes = Math.max(1, Math.round(seconds / 60));
    return "in about " + minutes + (minutes === 1 ? " minute" : " minutes");
  }

  function gone() { return (Date.now() - since) / 1000; }

  // ---- what is shown

  function show(given) {
    state = given;
    since = Date.now();
    showNow();
    showYours();
    showQueue();
    tick();
  }

  function showNow() {
    var now = state.playing;
    byId("now").hidden = !now;
    if (!now) { return; }
    byId("now-text").textContent = now.text;
    byId("now").className = now.yours ? "now mine" : "now";
    byId("now-label").textContent = now.yours ? "Yours is on the screen now" : "On the screen now";
    byId("now-by").textContent = now.author ? "by " + now.author : "";
  }

  function showYours() {
    var you = state.you;
    byId("yours").hidden = !you;
    form.hidden = !!you;
    if (!you) { return; }
    byId("yours-text").textContent = you.text;
    var place = byId("place"), when = byId("yours-when");
    if (you.state === "asked") {
      place.textContent = "Sent";
      when.textContent = "The VJ reads it before it plays.";
    } else if (you.state === "voices") {
      place.textContent = "Looking for voices";
      when.textContent = "It plays once somebody else votes for it.";
    } else {
      place.textContent = you.place === 1 ? "You are next" : "You are " + ordinal(you.place);
      when.textContent = state.held ? "The VJ has the screen for a moment." : about(you.about - gone());
    }
  }

  function showQueue() {
    var list = byId("list"), rows = state.queue;
    // Row by row, so that a thumb on a button is not robbed of it.
    while (list.children.length > rows.length) { list.removeChild(list.lastChild); }
    rows.forEach(function (row, at) {
      var item = list.children[at];
      if (!item) {
        item = el("li");
        item.appendChild(el("span", "number"));
        var what = item.appendChild(el("div", "what"));
        what.appendChild(el("p"));
        what.appendChild(el("p", "by"));
        var button = item.appendChild(el("button", "vote"));
        button.type = "button";
        button.addEventListener("click", vote);
        list.appendChild(item);
      }
      fill(item, row, at);
    });
    byId("empty").hidden = rows.length > 0 || state.waiting > 0;
    byId("waiting").textContent = state.waiting ? String(state.waiting) : "";
    byId("rule").textContent = state.mode === "ask" ? "The VJ reads every idea before it plays."
      : state.mode === "vote" ? "What gets votes plays, the most wanted first." : "";
  }

  function fill(item, row, at) {
    var own = state.you && state.you.id === row.id, voted = state.voted.indexOf(row.id) >= 0;
    item.className = (own ? "mine" : "") + (row.plays ? "" : " needs");
    item.children[0].textContent = row.plays ? String(at + 1) : "·";
    item.children[1].children[0].textContent = row.text;
    item.children[1].children[1].textContent = own ? "yours" : row.author;
    var button = item.children[2];
    button.textContent = String(row.votes);
    button.disabled = !!own;
    button.setAttribute("aria-pressed", String(!!voted));
    button.setAttribute("aria-label", (voted ? "Take your vote back from " : "Vote for ") + row.text);
    button.dataset.id = row.id;
  }

  function tick() {
    if (!state) { return; }
    if (state.playing) {
      var left = Math.max(0, state.playing.left - (state.held ? 0 : gone()));
      byId("now-bar").style.transform = "scaleX(" + Math.min(1, left / state.playing.turn) + ")";
    }
    if (state.you && state.you.state === "plays" && !state.held) {
      byId("yours-when").textContent = about(state.you.about - gone());
    }
  }

  function line(words, warn) {
    byId("line").textContent = words;
    byId("line").className = warn ? "line warn" : "line";
  }

  function tell(words, good) {
    said.textContent = words;
    said.className = good ? "good" : "";
  }

  // ---- what is heard

  function listen() {
    clearTimeout(retry);
    retry = 0;
    if (!("WebSocket" in window)) { startPoll(); return; }
    if (socket) { socket.onclose = null; socket.close(); }
    try {
      socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/crowd/ws");
    } catch (error) { again(); return; }
    socket.onmessage = function (event) {
      tries = 0;
      heard = Date.now();
      stopPoll();
      show(JSON.parse(event.data));
      line(state.held && !state.you ? "The VJ has the screen for a moment; ideas wait." : "");
    };
    socket.onclose = again;
  }

  function again() {
    socket = null;
    tries += 1;
    if (tries > 1) {
      line("Looking for the show…", true);
      startPoll();
    }
    // Spread, so that a full room does not come back in one instant.
    if (!retry) { retry = setTimeout(listen, Math.min(10000, 400 * Math.pow(2, tries)) * (0.5 + Math.random())); }
  }

  function startPoll() {
    if (!poll) { poll = setInterval(fetchState, 3500); fetchState(); }
  }

  function stopPoll() {
    clearInterval(poll);
    poll = 0;
  }

  function fetchState() {
    ask("GET", "state").then(function (answer) {
      if (answer.status === 200) { heard = Date.now(); show(answer.body); line(""); }
      else if (answer.status === 403) { location.reload(); }
      else { line("Looking for the show…", true); }
    });
  }

  // ---- what is said

  function ask(method, what, body) {
    var options = { method: method, credentials: "same-origin", headers: {} };
    if (body) {
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    return fetch("/crowd/api/" + what, options).then(function (answer) {
      return answer.json().catch(function () { return {}; }).then(function (found) {
        return { status: answer.status, body: found };
      });
    }, function () { return { status: 0, body: {} }; });
  }

  function why(answer) {
    if (answer.status === 0) { return "The show cannot be reached. Are you in its Wi-Fi?"; }
    return answer.body.words || "That did not work. Try again in a moment.";
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    var words = text.value.trim();
    if (!words || Date.now() < busyUntil) { return; }
    // A guest on a slow network presses twice; an answer that never comes does not lock the button for good.
    busyUntil = Date.now() + 8000;
    send.disabled = true;
    tell("", true);
    ask("POST", "say", { text: words, author: author.value.trim() }).then(function (answer) {
      busyUntil = 0;
      if (answer.status === 200 || answer.status === 201) {
        text.value = "";
        counted();
        keep("author", author.value.trim());
        tell(answer.status === 201 ? "Sent." : "It was there already: it has your vote now.", true);
        text.blur();
        if (!socket) { fetchState(); }
      } else {
        tell(why(answer), false);
        wait(answer.body.wait || 0);
      }
      if (!answer.body.wait) { send.disabled = false; }
    });
  });

  function wait(seconds) {
    if (!seconds) { return; }
    send.disabled = true;
    var until = Date.now() + seconds * 1000;
    var timer = setInterval(function () {
      var left = Math.ceil((until - Date.now()) / 1000);
      send.textContent = left > 0 ? left + " s" : "Send";
      if (left <= 0) { clearInterval(timer); send.disabled = false; tell("", true); }
    }, 250);
  }

  function vote(event) {
    var button = event.currentTarget, wanted = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(wanted));
    ask("POST", "vote", { id: Number(button.dataset.id), wanted: wanted }).then(function (answer) {
      if (answer.status !== 200) { line(why(answer), true); }
      if (!socket || answer.status !== 200) { fetchState(); }
    });
  }

  byId("withdraw").addEventListener("click", function () {
    ask("POST", "withdraw", {}).then(function (answer) {
      if (answer.status !== 200) { line(why(answer), true); }
      if (!socket) { fetchState(); }
    });
  });

  // ---- the form's small things

  function counted() {
    var length = text.value.length;
    byId("count").textContent = length > 60 ? length + " / 120" : "";
  }

  function keep(name, value) {
    try { localStorage.setItem("vj-" + name, value); } catch (error) { /* a private window keeps nothing */ }
  }

  function kept(name) {
    try { return localStorage.getItem("vj-" + name) || ""; } catch (error) { return ""; }
  }

  text.addEventListener("input", function () { counted(); tell("", true); });
  text.addEventListener("keydown", function (event) {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send.click();
    }
  });

  ask("GET", "ideas").then(function (answer) {
    if (!Array.isArray(answer.body)) { return; }
    // Everybody sees others first, or the first three would be all that is ever picked.
    var ideas = answer.body.map(function (words) { return [Math.random(), words]; }).sort();
    ideas.slice(0, 12).forEach(function (pair) {
      var button = el("button", "", pair[1]);
      button.type = "button";
      button.addEventListener("click", function () { text.value = pair[1]; counted(); tell("", true); });
      byId("ideas").appendChild(button);
    });
  });

  document.addEventListener("visibilitychange", function () {
    // A phone that comes out of a pocket often has a dead line that does not know it yet.
    if (!document.hidden && (!socket || Date.now() - heard > 20000)) { tries = 0; listen(); }
  });
  window.addEventListener("online", function () { tries = 0; listen(); });

  author.value = kept("author");
  counted();
  setInterval(tick, 500);
  // The server speaks every 15 s at least.
  setInterval(function () { if (socket && heard && Date.now() - heard > 40000) { listen(); } }, 5000);
  listen();
})();
