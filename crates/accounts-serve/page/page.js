'use strict';
// Fetches again the part of the page that changes, and copies commands.
const view = document.getElementById('view');
const live = document.getElementById('live');
let shown = null;

async function update() {
  try {
    const response = await fetch('view', { cache: 'no-store', signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const text = await response.text();
    // Redrawn only if it has changed, so that a selection and a button's focus stay otherwise.
    if (text !== shown) {
      view.innerHTML = text;
      shown = text;
    }
    live.textContent = `live · ${new Date().toLocaleTimeString()}`;
    live.className = '';
  } catch (error) {
    live.textContent = 'not live: the server cannot be reached';
    live.className = 'bad';
  }
  setTimeout(update, 3000);
}

// Browsers allow the clipboard on https and localhost only; elsewhere a selection can be copied.
async function copy(text, beside) {
  try {
    await navigator.clipboard.writeText(text);
  } catch (error) {
    getSelection().selectAllChildren(beside);
    document.execCommand('copy');
  }
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]');
  if (!button) return;
  await copy(button.dataset.copy, button.previousElementSibling);
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});

document.documentElement.classList.add('js');
update();
